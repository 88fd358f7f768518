"""report, check: result rows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sg2bench.cli import options


def report(
    results: Annotated[Path, typer.Argument(help="results.csv")],
    out: Annotated[Path | None, typer.Option(help="Report folder; default: where the rows are.")] = None,
) -> None:
    """Write leaderboard, plots and HTML page of result rows."""
    write_report(results, out)


def check(
    results: Annotated[Path, typer.Argument(help="results.csv")],
    baseline: Annotated[Path, typer.Option(help="CSV to hold it against.")],
    tolerance: Annotated[
        list[str] | None,
        typer.Option(metavar="METRIC=SHARE", help="Allowed worsening; default 0.05 for lpips, 0.10 for others."),
    ] = None,
) -> None:
    """Exit 1 if a domain's metric got worse than the baseline by more than its tolerance, 0 if none did."""
    from sg2bench import check as gate

    compared = gate.compare(results, baseline, gate.tolerances(tolerance or []))
    regressed = compared[compared["regressed"]]
    shown = (regressed if len(regressed) else compared).assign(
        worse_by=lambda t: t["worse_by"].map("{:+.1%}".format), tolerance=lambda t: t["tolerance"].map("{:.0%}".format)
    )
    options.print_table(shown, ["variant", "mode", "metric", "target", "baseline", "value", "worse_by", "tolerance"])
    if len(regressed):
        options.console.print(
            f"{len(regressed)} of {len(compared)} comparisons got worse beyond tolerance.", style="red"
        )
        raise typer.Exit(1)
    options.console.print(f"No regression in {len(compared)} comparisons.", style="green")


def write_report(results: Path, out: Path | None = None) -> None:
    from sg2bench.report import report as writer

    page = writer.write(results, out or results.parent, options.command())
    options.console.print((page.parent / "leaderboard.md").read_text(encoding="utf-8"), markup=False, highlight=False)
    options.console.print(f"Report: {page}", highlight=False)
