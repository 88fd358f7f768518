"""evaluate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sg2bench import api
from sg2bench.cli import options


def evaluate(
    checkpoint: Annotated[Path, typer.Argument(help="NNNNNN_nets_ema.ckpt")],
    experiment: Annotated[Path, typer.Option(help="Experiment with model, data and protocol.")],
    variant: Annotated[
        str | None,
        typer.Option(help="Variant of the experiment; default: that of the checkpoint's run, else the first."),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0, max=2**31 - 1, help="Seed to write into the rows; default: that of the checkpoint's run, else 0."
        ),
    ] = None,
    set_: options.Set = None,
    protocol: options.Protocol = None,
    device: options.Device = "auto",
    out: options.RowsFile = Path("rows.csv"),
) -> None:
    """Measure a trained model: every metric per pair of domains, per target domain and overall."""
    options.make_place(out, checkpoint, experiment)
    table = api.evaluate(
        checkpoint,
        experiment,
        variant=variant,
        seed=seed,
        settings=options.settings(set_),
        protocol=protocol,
        device=device,
    )
    options.write_rows(table, out)
