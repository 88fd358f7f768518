"""bench."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sg2bench.cli import options


def bench(
    experiment: Annotated[
        Path | None, typer.Argument(help="Experiment whose generator is timed; default: the paper's.")
    ] = None,
    batch: Annotated[
        list[int] | None, typer.Option(min=1, help="Batch size, repeatable; default 1 2 4 8 16 32.")
    ] = None,
    device: Annotated[
        list[str] | None, typer.Option(help="Repeatable; default: cpu, and cuda where there is one.")
    ] = None,
    max_seconds: Annotated[float, typer.Option(min=0.1, help="Time for each batch size and device.")] = 2.0,
    out: Annotated[Path, typer.Option(help="Folder for bench.csv and bench.json.")] = Path("reports/bench"),
    set_: options.Set = None,
) -> None:
    """Time the generator over batch sizes: images/s, ms per batch."""
    import torch

    from sg2bench import bench as throughput
    from sg2bench import config

    model = config.load(experiment, set_ or []).model
    devices = device or ["cpu", *["cuda"] * torch.cuda.is_available()]
    for name in devices:
        options.device(name)
    table = throughput.bench(model, devices, batch or [1, 2, 4, 8, 16, 32], out, max_seconds)
    options.print_table(
        table, ["device", "threads", "image_size", "batch_size", "images_per_second", "ms_per_batch", "ms_iqr"]
    )
    options.console.print(f"Rows: {out / 'bench.csv'}", highlight=False)
