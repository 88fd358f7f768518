"""check."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from sg2bench import api
from sg2bench.cli import options


def check(
    results: Annotated[Path, typer.Argument(help="results.csv, or bench.csv with --bench.")],
    baseline: Annotated[Path, typer.Option(help="CSV to compare with.")],
    margin: Annotated[
        list[str] | None,
        typer.Option(
            metavar="METRIC=MARGIN", help="Largest worsening to tolerate, repeatable; see docs/metrics.md for units."
        ),
    ] = None,
    experiment: Annotated[Path | None, typer.Option(help="Experiment whose `margins` are used.")] = None,
    exact: Annotated[
        float | None, typer.Option(min=0, metavar="SHARE", help="Largest change to tolerate; one seed is enough.")
    ] = None,
    bench: Annotated[
        float | None, typer.Option(min=0, max=1, metavar="SHARE", help="Compare throughput: largest fall to tolerate.")
    ] = None,
    last_steps: Annotated[
        int, typer.Option(min=1, help="Average each run over its last N evaluated steps, to reduce noise.")
    ] = 1,
    inconclusive_ok: Annotated[bool, typer.Option("--inconclusive-ok", help="Exit 0 if inconclusive.")] = False,
    update_baseline: Annotated[
        bool,
        typer.Option("--update-baseline", help="Replace the baseline with RESULTS, without comparing; needs --reason."),
    ] = False,
    reason: Annotated[
        str | None, typer.Option(help="Why the baseline changes; added to its history, a file next to it.")
    ] = None,
    markdown: Annotated[Path | None, typer.Option(help="Summary to write; default: $GITHUB_STEP_SUMMARY.")] = None,
    junit: Annotated[Path | None, typer.Option(help="JUnit XML to write.")] = None,
    json: Annotated[Path | None, typer.Option(help="JSON to write.")] = None,
    history: Annotated[
        Path | None, typer.Option(metavar="CSV", help="Append the verdict to this file, with a plot (SVG) next to it.")
    ] = None,
) -> None:
    """Test for regressions against a baseline, per variant, mode, metric and domain, over seeds: see docs/gate.md.

    Exit code 0: all lines pass. 1: a regression. 2: bad input. 3: inconclusive.
    """
    from sg2bench import gate

    if update_baseline or reason is not None:
        others = (margin or None, experiment, exact, bench, markdown, junit, json, history)
        compares = last_steps > 1 or inconclusive_ok or any(each is not None for each in others)
        _update(results, baseline, reason if update_baseline else None, compares)
        return
    _refuse_overwriting([results, baseline], [markdown, junit, json, history])
    _refuse_overwriting([results, baseline], [markdown, junit, json, history and history.with_suffix(".svg")])
    margins = _margins(margin or [])
    compared = api.check(
        results, baseline, margins=margins, experiment=experiment, exact=exact, bench=bench, last_steps=last_steps
    )
    _publish(compared, markdown, junit, json, history)
    _exit(gate.verdict(compared), inconclusive_ok)


def _publish(compared: Any, markdown: Path | None, junit: Path | None, json: Path | None, history: Path | None) -> None:
    """Print the table and write the files, also if whoever reads the output has stopped."""
    from sg2bench.gate import output
    from sg2bench.gate.history import append

    try:
        _print(compared)
    finally:
        output.publish(compared, markdown, junit, json)
        plot = None if history is None else append(compared, history)
    if plot is not None:
        options.print_plain(f"History: {history}, {plot}")


def _exit(verdict: str, inconclusive_ok: bool) -> None:
    from sg2bench import gate

    code = {gate.PASS: 0, gate.REGRESSION: 1, gate.INCONCLUSIVE: 0 if inconclusive_ok else 3}[verdict]
    if code:
        raise typer.Exit(code)


def _update(results: Path, baseline: Path, reason: str | None, compares: bool) -> None:
    """Make RESULTS the baseline. Raises ValueError without a reason, or with options of a comparison."""
    from sg2bench import gate

    if not (reason or "").strip():
        raise ValueError("give --update-baseline and --reason TEXT together")
    if compares:
        raise ValueError("--update-baseline compares nothing, so the only other option is --reason")
    assert reason is not None
    gate.update_baseline(results, baseline, reason, options.command())
    options.print_plain(f"{results} is the new baseline: {baseline}")


def _margins(texts: list[str]) -> dict[str, float]:
    chosen = {}
    for text in texts:
        metric, _, share = text.partition("=")
        if metric in chosen:
            raise ValueError(f"--margin {text}: {metric} already has a margin; give each metric once")
        try:
            chosen[metric] = float(share)
        except ValueError:
            raise ValueError(f"--margin {text}: expected METRIC=MARGIN, such as --margin fd_alexnet=0.1") from None
    return chosen


def _refuse_overwriting(inputs: list[Path], outputs: list[Path | None]) -> None:
    """Raise ValueError if an output is also an input or another output, except for devices such as /dev/null."""
    taken = {file.resolve() for file in inputs}
    for file in outputs:
        if file is not None and (file.is_file() or not file.exists()):
            if file.resolve() in taken:
                raise ValueError(f"{file}: would be overwritten; name another file")
            taken.add(file.resolve())


def _print(compared: Any) -> None:
    """Print the verdict, and the lines that do not pass, or all lines if all pass."""
    from sg2bench import gate
    from sg2bench.gate import output

    verdict = gate.verdict(compared)
    shown = compared[compared["verdict"] != gate.PASS] if verdict != gate.PASS else compared
    columns = [column for column in output.COLUMNS if column in compared]
    shown = shown.assign(worse_by=[output.worse_by(row) for row in shown.to_dict("records")])
    options.print_table(shown, [*columns, "worse_by", "verdict"])
    colour = {gate.PASS: "green", gate.REGRESSION: "red", gate.INCONCLUSIVE: "yellow"}[verdict]
    options.print_plain(output.sentence(compared), colour)
