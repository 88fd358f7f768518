"""report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sg2bench import api
from sg2bench.cli import options
from sg2bench.layout import PAGE, VARIANTS


def report(
    results: Annotated[Path, typer.Argument(help="results.csv")],
    out: Annotated[Path | None, typer.Option(help="Folder for the report; default: that of the rows.")] = None,
) -> None:
    """Write the report of result rows: tables, plots and an HTML page."""
    api.write_report(results, out=out, command=options.command())
    print_report(out or results.parent)


def print_report(folder: Path) -> None:
    """Print the table of variants and the path of the page."""
    options.print_plain((folder / VARIANTS).read_text(encoding="utf-8"))
    options.print_plain(f"Report: {folder / PAGE}")
