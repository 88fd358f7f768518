"""report, check, leaderboard: result rows."""

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
    results: Annotated[Path, typer.Argument(help="results.csv; with --bench, bench.csv")],
    baseline: Annotated[Path, typer.Option(help="CSV to hold it against.")],
    margin: Annotated[
        list[str] | None,
        typer.Option(metavar="METRIC=SHARE", help="Worsening that counts as none; default 0.05 for lpips, else 0.10."),
    ] = None,
    experiment: Annotated[Path | None, typer.Option(help="Experiment in YAML whose `margins` count.")] = None,
    exact: Annotated[
        float | None,
        typer.Option(
            min=0, metavar="SHARE", help="Code that changes no values: each may differ by so much. One seed will do."
        ),
    ] = None,
    bench: Annotated[
        float | None, typer.Option(min=0, max=1, metavar="SHARE", help="Throughput instead: it may fall by so much.")
    ] = None,
    inconclusive_ok: Annotated[bool, typer.Option("--inconclusive-ok", help="Exit 0 where seeds are too few.")] = False,
    update_baseline: Annotated[
        bool, typer.Option("--update-baseline", help="Make RESULTS the baseline, whatever the verdict.")
    ] = False,
    reason: Annotated[str | None, typer.Option(help="Why the baseline changes; goes beside it.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Summary to write; else $GITHUB_STEP_SUMMARY, if set.")] = None,
    junit: Annotated[Path | None, typer.Option(help="JUnit XML to write.")] = None,
    json: Annotated[Path | None, typer.Option(help="JSON to write.")] = None,
) -> None:
    """Did it get worse? Per variant, mode, metric and domain, over seeds: see docs/gate.md.

    Exit code 0: no. 1: a regression. 3: inconclusive, too few seeds to tell.
    """
    from sg2bench import config
    from sg2bench.check import gate, output

    if exact is not None and (margin or experiment or bench is not None):
        raise ValueError("--exact stands alone, without --margin, --experiment or --bench")
    if bench is not None and (margin or experiment):
        raise ValueError("--bench has its own share, without --margin or --experiment")
    if update_baseline != (reason is not None):
        raise ValueError("--update-baseline needs --reason TEXT, and the other way round")
    if update_baseline and (
        margin or experiment or exact is not None or bench is not None or markdown or junit or json
    ):
        raise ValueError("--update-baseline compares nothing: give it --reason alone")
    if update_baseline and reason is not None:
        gate.update_baseline(results, baseline, reason, options.command())
        options.console.print(f"{results} is the baseline now: {baseline}", highlight=False)
        return
    if bench is not None:
        compared = gate.compare_throughput(results, baseline, bench)
    elif exact is not None:
        compared = gate.compare_exactly(results, baseline, exact)
    else:
        declared = config.load(experiment).margins if experiment else {}
        compared = gate.compare(results, baseline, gate.margins(margin or [], declared))
    output.publish(compared, markdown, junit, json)
    verdict = gate.verdict(compared)
    shown = compared[compared["verdict"] != gate.PASS] if verdict != gate.PASS else compared
    columns = [c for c in (*gate.KEYS, "device", "batch_size", "seed", "baseline", "value") if c in compared]
    shown = shown.assign(worse_by=shown["worse_by"].map("{:+.1%}".format))
    options.print_table(shown, [*columns, "worse_by", "verdict"])
    colour = {gate.PASS: "green", gate.REGRESSION: "red", gate.INCONCLUSIVE: "yellow"}[verdict]
    options.console.print(output.sentence(compared), style=colour, highlight=False)
    code = {gate.PASS: 0, gate.REGRESSION: 1, gate.INCONCLUSIVE: 0 if inconclusive_ok else 3}[verdict]
    if code:
        raise typer.Exit(code)


def add(
    results: Annotated[list[Path], typer.Argument(help="One or more results.csv.")],
    out: Annotated[Path, typer.Option(help="Folder of leaderboard.csv, .md and .html.")] = Path("reports"),
    command: Annotated[
        str | None, typer.Option(help="What made the rows, where no experiment.yaml beside them tells.")
    ] = None,
) -> None:
    """Merge rows, your own or others', into the leaderboard over all experiments; a bad row is refused by its line."""
    from sg2bench.report import board

    page, new, replaced = board.add(results, out, command)
    options.print_plain(page.with_suffix(".md").read_text(encoding="utf-8"))
    options.print_plain(f"{new} rows added, {replaced} replaced. Leaderboard: {page}")


def write_report(results: Path, out: Path | None = None) -> None:
    from sg2bench.report import report as writer

    page = writer.write(results, out or results.parent, options.command())
    options.print_plain((page.parent / "leaderboard.md").read_text(encoding="utf-8"))
    options.print_plain(f"Report: {page}")
