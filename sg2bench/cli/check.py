"""check."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from sg2bench import api
from sg2bench.cli import options


def check(
    results: Annotated[Path, typer.Argument(help="results.csv; with --bench, bench.csv")],
    baseline: Annotated[Path, typer.Option(help="CSV to compare with.")],
    margin: Annotated[
        list[str] | None,
        typer.Option(metavar="METRIC=MARGIN", help="Largest worsening to tolerate; units, default: docs/metrics.md."),
    ] = None,
    experiment: Annotated[Path | None, typer.Option(help="Experiment whose `margins` count.")] = None,
    exact: Annotated[
        float | None,
        typer.Option(
            min=0,
            metavar="SHARE",
            help="Each value may differ by so much, for code that changes none; one seed will do.",
        ),
    ] = None,
    bench: Annotated[
        float | None, typer.Option(min=0, max=1, metavar="SHARE", help="Throughput instead: it may fall by so much.")
    ] = None,
    last_steps: Annotated[
        int, typer.Option(min=1, help="Average each run over so many of its last evaluated steps: less noise.")
    ] = 1,
    inconclusive_ok: Annotated[bool, typer.Option("--inconclusive-ok", help="Exit 0 where seeds are too few.")] = False,
    update_baseline: Annotated[
        bool, typer.Option("--update-baseline", help="Make RESULTS the baseline, whatever the verdict.")
    ] = False,
    reason: Annotated[
        str | None, typer.Option(help="Why the baseline changes; written to the file next to it.")
    ] = None,
    markdown: Annotated[Path | None, typer.Option(help="Summary to write; else $GITHUB_STEP_SUMMARY, if set.")] = None,
    junit: Annotated[Path | None, typer.Option(help="JUnit XML to write.")] = None,
    json: Annotated[Path | None, typer.Option(help="JSON to write.")] = None,
) -> None:
    """Did it get worse? Per variant, mode, metric and domain, over seeds: see docs/gate.md.

    Exit code 0: no. 1: a regression. 3: inconclusive, too few seeds to tell.
    """
    from sg2bench import gate
    from sg2bench.gate import output

    if update_baseline != (reason is not None):
        raise ValueError("--update-baseline needs --reason TEXT, and the other way round")
    if update_baseline and reason is not None:
        compares = exact is not None or bench is not None or last_steps > 1
        if compares or margin or experiment or markdown or junit or json:
            raise ValueError("--update-baseline compares nothing: give it --reason alone")
        gate.update_baseline(results, baseline, reason, options.command())
        options.print_plain(f"{results} is the baseline now: {baseline}")
        return
    _refuse_overwriting([results, baseline], [markdown, junit, json])
    compared = api.check(
        results,
        baseline,
        margins=_margins(margin or []),
        experiment=experiment,
        exact=exact,
        bench=bench,
        last_steps=last_steps,
    )
    _print(compared)
    output.publish(compared, markdown, junit, json)
    verdict = gate.verdict(compared)
    code = {gate.PASS: 0, gate.REGRESSION: 1, gate.INCONCLUSIVE: 0 if inconclusive_ok else 3}[verdict]
    if code:
        raise typer.Exit(code)


def _margins(texts: list[str]) -> dict[str, float]:
    chosen = {}
    for text in texts:
        metric, _, share = text.partition("=")
        if metric in chosen:
            raise ValueError(f"--margin {text}: {metric} has a margin already; give each once")
        try:
            chosen[metric] = float(share)
        except ValueError:
            raise ValueError(f"--margin {text}: expected metric=margin, as in --margin fd_alexnet=0.1") from None
    return chosen


def _refuse_overwriting(inputs: list[Path], outputs: list[Path | None]) -> None:
    """Raise ValueError if a file to write is one to read, or to write twice; /dev/null may be."""
    taken = {file.resolve() for file in inputs}
    for file in outputs:
        if file is not None and (file.is_file() or not file.exists()):
            if file.resolve() in taken:
                raise ValueError(f"{file}: would be overwritten; name another file")
            taken.add(file.resolve())


def _print(compared: Any) -> None:
    """Print the lines that do not pass, or all if all do, and the verdict."""
    from sg2bench import gate
    from sg2bench.gate import output

    verdict = gate.verdict(compared)
    shown = compared[compared["verdict"] != gate.PASS] if verdict != gate.PASS else compared
    columns = [c for c in (*gate.KEYS, "device", "batch_size", "seed", "baseline", "value") if c in compared]
    shown = shown.assign(worse_by=[output.worse_by(row) for row in shown.to_dict("records")])
    options.print_table(shown, [*columns, "worse_by", "verdict"])
    colour = {gate.PASS: "green", gate.REGRESSION: "red", gate.INCONCLUSIVE: "yellow"}[verdict]
    options.print_plain(output.sentence(compared), colour)
