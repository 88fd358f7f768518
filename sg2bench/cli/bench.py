"""bench."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

import typer

from sg2bench.cli import options

_SHOWN = {
    "precision": "precision",
    "memory_format": "format",
    "execution": "mode",
    "batch_size": "batch",
    "images_per_second": "images/s",
    "ms_per_batch": "ms",
    "ms_p90": "90 % ms",
    "rounds": "rounds",
    "peak_mib": "MiB",
}


def bench(
    experiment: Annotated[
        Path | None, typer.Argument(help="Experiment whose generator is timed; default: the paper's settings.")
    ] = None,
    batch: Annotated[
        list[int] | None, typer.Option(min=1, help="Batch size, repeatable; default: 1 2 4 8 16 32.")
    ] = None,
    device: Annotated[list[str] | None, typer.Option(help="Repeatable; default: cpu, and cuda if available.")] = None,
    precision: Annotated[
        list[str] | None, typer.Option(help="float32 or bf16, repeatable; default: those native to the device.")
    ] = None,
    memory_format: Annotated[
        list[str] | None, typer.Option(help="contiguous or channels_last, repeatable; default: both.")
    ] = None,
    execution: Annotated[
        list[str] | None, typer.Option(help="eager, compile or cuda_graph, repeatable; default: all.")
    ] = None,
    max_seconds: Annotated[float, typer.Option(min=0.1, help="Seconds per setting.")] = 2.0,
    minutes: Annotated[float, typer.Option(min=0, help="Time budget; settings not started by then are skipped.")] = 4.0,
    compare: Annotated[Path | None, typer.Option(help="bench.json of an earlier benchmark to compare with.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for bench.csv, bench.json and roofline.png.")] = Path(
        "reports/bench"
    ),
    set_: options.Set = None,
) -> None:
    """Time the generator over batch sizes, precisions, memory formats and execution modes, and say which is fastest."""
    import torch

    from sg2bench import devices as device_names
    from sg2bench import experiments
    from sg2bench.bench import machine, throughput

    _refuse_nan(max_seconds, minutes)
    model = experiments.load(experiment, options.settings(set_)).model
    devices = device or ["cpu", *["cuda"] * torch.cuda.is_available()]
    for name in devices:
        device_names.device(name)
    for option, given, known in (
        ("precision", precision, tuple(machine.DTYPES)),
        ("memory-format", memory_format, throughput.MEMORY_FORMATS),
        ("execution", execution, throughput.EXECUTIONS),
    ):
        if unknown := set(given or []) - set(known):
            raise ValueError(f"--{option} {min(unknown)}: choose from {', '.join(known)}")
    ways = throughput.ways(
        devices,
        precision or [],
        memory_format or throughput.MEMORY_FORMATS,
        execution or throughput.EXECUTIONS,
        batch or [1, 2, 4, 8, 16, 32],
    )
    if not ways:
        raise ValueError("--execution cuda_graph needs a GPU (--device cuda)")
    table = throughput.bench(model, ways, out, max_seconds, minutes, compare)
    _print(table)
    if left := table.attrs["skipped"]:
        options.print_plain(
            f"{left} of {len(ways)} settings skipped: the time budget of {minutes:g} minutes was used up."
        )
    options.print_plain("\n".join([*throughput.recommendation(table), f"Rows: {out / 'bench.csv'}"]))


def _print(table: Any) -> None:
    for device, lines in table.groupby("device", sort=False):
        options.print_plain(device)
        options.print_table(lines.rename(columns=_SHOWN), list(_SHOWN.values()))


def _refuse_nan(max_seconds: float, minutes: float) -> None:
    for option, number in (("--max-seconds", max_seconds), ("--minutes", minutes)):
        if math.isnan(number):
            raise ValueError(f"{option} nan: expected a number")
