"""run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sg2bench.cli import options


def run(
    experiment: options.ExperimentFile,
    variant: Annotated[str, typer.Option(help="Which variant.")],
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Which seed.")],
    set_: options.Set = None,
    device: options.Device = "auto",
    runs: options.Runs = Path("runs"),
) -> None:
    """Train and evaluate one variant with one seed; continues where it was interrupted."""
    from sg2bench import devices, experiments
    from sg2bench.runs import plan
    from sg2bench.runs.perform import Stop, perform

    loaded = experiments.load(experiment, options.settings(set_))
    loaded.resolve(variant)  # names a variant that is not there
    one = loaded.model_copy(update={"variants": {variant: loaded.variants[variant]}, "seeds": (seed,)})
    (status,) = plan.plan(one, runs)
    plan.write([status])
    options.print_counts([status])
    perform(status.job, devices.device(device), Stop())
