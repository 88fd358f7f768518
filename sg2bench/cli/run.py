"""run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sg2bench.cli import options

if TYPE_CHECKING:
    from sg2bench.runs.job import Job


def run(
    experiment: options.ExperimentFile,
    variant: Annotated[str, typer.Option(help="Which variant.")],
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Which seed.")],
    set_: options.Set = None,
    device: options.Device = "auto",
    runs: options.Runs = "runs",
) -> None:
    """Train and evaluate one variant with one seed; resume it if it was interrupted.

    To share the work between processes or GPUs, use torchrun: torchrun --nproc-per-node 2 -m sg2bench run …
    """
    from sg2bench import devices, distributed
    from sg2bench.runs.perform import Stop, perform
    from sg2bench.runs.worker import end_with_parent

    with distributed.joined():
        if distributed.size() > 1:
            end_with_parent()
        job = distributed.from_first(_planned, experiment, variant, seed, set_, runs)
        perform(job, distributed.together(devices.of_this_process, device), Stop())


def _planned(experiment: Path, variant: str, seed: int, set_: list[str] | None, runs: str) -> Job:
    """Write the job into its folder and return it."""
    from sg2bench import experiments
    from sg2bench.layout import with_home
    from sg2bench.runs import plan, storage

    loaded = experiments.load(experiment, options.settings(set_))
    loaded.resolve(variant)  # refuses an unknown variant
    one = loaded.model_copy(update={"variants": {variant: loaded.variants[variant]}, "seeds": (seed,)})
    storage.refuse_url(runs)
    (status,) = plan.plan(one, with_home(runs))
    plan.write([status])
    options.print_counts([status])
    return status.job
