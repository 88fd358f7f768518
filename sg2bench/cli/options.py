"""What commands share: options, the two consoles, tables."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

console = Console()
errors = Console(stderr=True)

ExperimentFile = Annotated[Path, typer.Argument(help="Experiment in YAML, or the name of one that ships.")]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a key, as train.steps=200.")
]
Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:N, or auto: a GPU where there is one.")]
Protocol = Annotated[str | None, typer.Option(help="offline, standard or paper, in place of the experiment's.")]
Runs = Annotated[Path, typer.Option(help="Folder that holds the run folders.")]
Variant = Annotated[str | None, typer.Option(help="Its variant; default: the first.")]
Seed = Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Seed that the rows carry.")]
RowsFile = Annotated[Path, typer.Option(help="CSV to write.")]


def settings(texts: list[str] | None) -> dict[str, Any]:
    """What `--set` says."""
    from sg2bench.experiments import parse_settings

    return parse_settings(texts or [])


def command() -> str:
    """The command as it was typed."""
    return shlex.join(["sg2bench", *sys.argv[1:]])


def never_fail_to_print() -> None:
    """Replace what a stream's encoding cannot say, such as an arrow on an old Windows console."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def print_plain(text: str) -> None:
    """Print lines as they are, to be copied: neither wrapped nor coloured."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def print_error(text: str) -> None:
    errors.print(text, style="red", markup=False, highlight=False, soft_wrap=True)


def print_table(frame: Any, columns: list[str]) -> None:
    """Print columns of a frame, aligned, however wide that is."""
    rows = [[f"{c:.4g}" if isinstance(c, float) else str(c) for c in row] for row in frame[columns].to_numpy(object)]
    lines = [columns, *rows]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    aligned = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
    print_plain("\n".join(line.rstrip() for line in aligned))


def make_place(out: Path) -> None:
    """Make sure, before hours of work, that a file can be written. Raises ValueError if not."""
    from sg2bench.files import make_writable

    if out.is_dir():
        raise ValueError(f"--out {out}: is a folder; name the CSV")
    try:
        make_writable(out.parent)
    except OSError as error:
        raise ValueError(f"--out {out}: {error.strerror}") from None


def write_rows(table: Any, out: Path) -> None:
    """Write result rows, and print the means."""
    from sg2bench import rows

    rows.write(table, out)
    means = table[table["source"] == "*"]
    print_table(means, ["mode", "target", "metric", "value", "ci_low", "ci_high", "n_real", "n_fake"])
    print_plain(f"All {len(table)} rows: {out}")
