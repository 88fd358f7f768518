"""weights list, fetch, verify."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from sg2bench.cli import options

app = typer.Typer(name="weights", help="Pretrained networks of the metrics: list, fetch, verify.", no_args_is_help=True)

WeightsNames = Annotated[list[str] | None, typer.Argument(help="Names as in `weights list`; default: all.")]


@app.command("list")
def list_weights() -> None:
    """List each file with licence, published SHA-256 and path, without downloading."""
    from sg2bench import weights

    for name, file in weights.ALL.items():
        where = weights.given(file.file) or "not downloaded"
        digits = f"{file.sha256[:8]}…" + ("" if file.digest_is_whole else f" ({_few_digits(file)})")
        line = f"{name:22} {file.file}  {file.license}, sha256 {digits}  {where}"
        options.print_plain(line)


@app.command("fetch")
def fetch_weights(names: WeightsNames = None) -> None:
    """Download missing files and check their SHA-256."""
    from sg2bench import weights

    for file in _named_weights(names):
        path = weights.fetch(file)
        options.print_plain(f"{file.file}: {path}" + ("" if file.digest_is_whole else f"; {_few_digits(file)}"))


@app.command("verify")
def verify_weights(names: WeightsNames = None) -> None:
    """Check the SHA-256 of downloaded files; exit code 2 if one differs, or if a named one is missing."""
    from sg2bench import weights

    for file in _named_weights(names):
        path = weights.verify(file)
        if path is None and names:
            raise ValueError(f"{file.file} is missing; get it with `sg2bench weights fetch`")
        published = "as published" if file.digest_is_whole else f"as published ({_few_digits(file)})"
        options.print_plain(f"{file.file}: {'not downloaded' if path is None else f'{published}, {path}'}")


def _few_digits(file: Any) -> str:
    """Explain how far to trust a SHA-256 of which the publisher gives only some digits."""
    from sg2bench import weights

    note = weights.first_digest(file)
    kept = (
        f"the first such file's SHA-256 is in {note}"
        if note.is_file()
        else f"that of the first such file will be noted in {note}"
    )
    return f"the publisher gives {len(file.sha256)} of 64 digits; {kept}"


def _named_weights(names: list[str] | None) -> list[Any]:
    from sg2bench import weights

    if unknown := [name for name in names or [] if name not in weights.ALL]:
        raise ValueError(f"no weights `{unknown[0]}` (known: {', '.join(weights.ALL)})")
    return [weights.ALL[name] for name in names or weights.ALL]
