"""weights list, fetch, verify."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from sg2bench.cli import options

app = typer.Typer(name="weights", help="Pretrained networks of the metrics: list, fetch, verify.", no_args_is_help=True)

WeightsNames = Annotated[list[str] | None, typer.Argument(help="Names as `weights list` has them; default: all.")]


@app.command("list")
def list_weights() -> None:
    """Each file, its licence, its SHA-256 as far as it is published, and where it lies. Nothing is downloaded."""
    from sg2bench import weights

    for name, file in weights.ALL.items():
        where = weights.given(file.file) or "not here"
        digits = f"{file.sha256[:8]}…" + ("" if file.digest_is_whole else f" ({_few_digits(file)})")
        line = f"{name:22} {file.file}  {file.license}, sha256 {digits}  {where}"
        options.print_plain(line)


@app.command("fetch")
def fetch_weights(names: WeightsNames = None) -> None:
    """Download files that are not here yet, and check them."""
    from sg2bench import weights

    for file in _named_weights(names):
        path = weights.fetch(file)
        options.print_plain(f"{file.file}: {path}" + ("" if file.digest_is_whole else f"; {_few_digits(file)}"))


@app.command("verify")
def verify_weights(names: WeightsNames = None) -> None:
    """Check the SHA-256 of files that are here; exit code 2 if one differs, or if one that was named is not here."""
    from sg2bench import weights

    for file in _named_weights(names):
        path = weights.verify(file)
        if path is None and names:
            raise ValueError(f"{file.file} is not here; sg2bench weights fetch gets it")
        published = "as published" if file.digest_is_whole else f"as published ({_few_digits(file)})"
        options.print_plain(f"{file.file}: {'not here' if path is None else f'{published}, {path}'}")


def _few_digits(file: Any) -> str:
    """How far to trust a SHA-256 that its publisher gives in part."""
    from sg2bench import weights

    note = weights.first_digest(file)
    kept = f"the first such file's are in {note}" if note.is_file() else "those of the first such file will be kept"
    return f"the publisher gives {len(file.sha256)} digits of 64; {kept}"


def _named_weights(names: list[str] | None) -> list[Any]:
    from sg2bench import weights

    if unknown := [name for name in names or [] if name not in weights.ALL]:
        raise ValueError(f"no weights `{unknown[0]}` (known: {', '.join(weights.ALL)})")
    return [weights.ALL[name] for name in names or weights.ALL]
