"""plan."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from sg2bench import texts
from sg2bench.cli import options

_SHOWN = {
    "variant": "variant",
    "runs": "runs",
    "done": "done",
    "steps": "steps",
    "gflop_per_step": "GFLOP/step",
    "seconds_per_step": "s/step",
    "evaluation_seconds": "s/evaluation",
    "hours_per_run": "h/run",
    "hours": "h left",
    "memory_gib": "GiB memory/run",
    "storage_gib": "GiB on disk",
    "basis": "step time from",
}


def plan(
    experiment: options.ExperimentFile = Path("critters"),
    set_: options.Set = None,
    protocol: options.Protocol = None,
    gpus: Annotated[
        int | None,
        typer.Option(min=1, help="GPUs to plan for; default: this machine's GPUs, or its CPU cores if it has none."),
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="CPU threads to plan for, one run on each.")] = None,
    tflops: Annotated[
        float | None, typer.Option(help="TFLOP/s that a GPU sustains in training; default: 23, an H200 in float32.")
    ] = None,
    runs: options.Runs = "runs",
) -> None:
    """Estimate what an experiment will cost, without starting it: hours, memory, disk, and when it will be done.

    Times come from the cost model of docs/performance.md, or from runs in --runs, once some have begun.
    """
    from sg2bench.bench import forecast

    table = forecast.plan(
        experiment,
        settings=options.settings(set_),
        protocol=protocol,
        gpus=gpus,
        workers=workers,
        tflops=tflops,
        runs=runs,
    )
    variants, whole = table[table["variant"] != "*"], table.iloc[-1]
    options.print_table(variants.rename(columns=_SHOWN), list(_SHOWN.values()))
    options.print_plain("\n".join(_summary(variants, whole)))


def _summary(variants: Any, whole: Any) -> list[str]:
    device, _, rates = whole["basis"].partition("; ")
    unit = "GPU hours" if "GPU" in device else "hours of a CPU thread"
    measured = (variants["basis"] == "measured").sum()
    return [
        "",
        f"{whole['runs']} runs, {whole['done']} of them done; {whole['steps']:,} steps in all.",
        f"Left on {device}: {texts.rounded(whole['hours'], 3)} {unit}; the last run ends after "
        f"{_time(whole['makespan_hours'])}.",
        f"Memory: {texts.rounded(whole['memory_gib'], 2)} GiB per run. "
        f"Disk: {texts.rounded(whole['storage_gib'], 3)} GiB at the end.",
        "",
        f"Times: {measured} of {len(variants)} variants measured on runs in --runs, the others estimated from their "
        f"operations at the rate of {rates}"
        + (", scaled to the measured ones." if measured else ".")
        + " Idle workers at the end are counted, failures are not.",
        "Memory: networks, Adam and one step, counted, not measured; "
        + ("includes 0.9 GiB for the process." if "CPU" in device else "CUDA's own memory comes on top."),
        "Disk: checkpoints and networks; about 1 MiB of pictures and tables per run comes on top.",
    ]


def _time(hours: float) -> str:
    """Format a time in a readable unit."""
    if hours >= 48:
        return f"{hours / 24:.1f} days"
    return f"{hours:.1f} hours" if hours >= 1 else f"{60 * hours:.1f} minutes"
