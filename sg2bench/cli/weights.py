"""weights list, fetch, verify."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from sg2bench.cli import options

app = typer.Typer(name="weights", help="Pretrained networks of the metrics: list, fetch, verify.", no_args_is_help=True)

WeightsNames = Annotated[list[str] | None, typer.Argument(help="Names as `weights list` has them; default: all.")]


@app.command("list")
def list_weights() -> None:
    """Each file, its licence, its SHA-256, and where it lies if it is here. Nothing is downloaded."""
    from sg2bench import weights

    for name, file in weights.ALL.items():
        where = weights.given(file.file) or "not here"
        line = f"{name:22} {file.file}  {file.license}, sha256 {file.sha256[:8]}…  {where}"
        options.console.print(line, soft_wrap=True, highlight=False)


@app.command("fetch")
def fetch_weights(names: WeightsNames = None) -> None:
    """Download files that are not here yet, and check them."""
    from sg2bench import weights

    for file in _named_weights(names):
        options.console.print(f"{file.file}: {weights.fetch(file)}", highlight=False)


@app.command("verify")
def verify_weights(names: WeightsNames = None) -> None:
    """Check the SHA-256 of files that are here; exit code 2 if one differs, or if one that was named is not here."""
    from sg2bench import weights

    for file in _named_weights(names):
        path = weights.verify(file)
        if path is None and names:
            raise ValueError(f"{file.file} is not here; sg2bench weights fetch gets it")
        options.console.print(
            f"{file.file}: {'not here' if path is None else f'as published, {path}'}", highlight=False
        )


def _named_weights(names: list[str] | None) -> list[Any]:
    from sg2bench import weights

    if unknown := [name for name in names or [] if name not in weights.ALL]:
        raise ValueError(f"no weights `{unknown[0]}` (known: {', '.join(weights.ALL)})")
    return [weights.ALL[name] for name in names or weights.ALL]
