"""An experiment from its runs to its report: what `api.ablate` does once its arguments are read."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import pandas as pd
import torch

from sg2bench import devices
from sg2bench.config import Experiment
from sg2bench.data import sets
from sg2bench.evaluation.needs import with_metrics
from sg2bench.files import make_writable
from sg2bench.layout import RESULTS
from sg2bench.report import write
from sg2bench.runs import collect, perform, plan, storage
from sg2bench.runs.executor import Executor
from sg2bench.runs.known import Known, warn_of_unused
from sg2bench.runs.local import LocalExecutor
from sg2bench.runs.status import Status

_COLLECTING = 10
"""Rows of finished runs are collected again after so many times what it took: a tenth of the time at most."""
Performer = tuple[Executor, torch.device]
"""What performs the runs, and the device for the reference lines, which are measured by the command itself."""


def local_performer(experiment: Experiment, device: str, workers: int | None) -> Performer:
    """Processes of this machine. Raises ValueError for a device that is not there."""
    most = len(experiment.variants) * len(experiment.seeds)
    resources = experiment.resources
    slots = devices.slots(device, workers and min(workers, most), resources.gpus, resources.cpus)
    return LocalExecutor(slots), devices.device(slots[0].split(",")[0])


def ray_performer(runs: Path, url: str | None, address: str | None, device: str, workers: int | None) -> Performer:
    """Tasks of a Ray cluster, for runs in a folder, or at the URL of which it is a copy."""
    from sg2bench.runs.ray import RayExecutor  # noqa: PLC0415 (an optional extra)

    return RayExecutor(runs, device, workers, address, url), devices.device("cpu" if device == "cpu" else "auto")


def refuse_other_place(executor: str, address: str | None, runs: str) -> None:
    """Raise ValueError if options do not fit each other: `address` and a URL are for Ray."""
    if executor not in ("local", "ray"):
        raise ValueError(f"--executor {executor}: expected local or ray")
    if executor == "local" and address is not None:
        raise ValueError(f"--address {address}: is for --executor ray")
    if executor == "local" and storage.is_url(runs):
        raise ValueError(f"--runs {runs}: a URL is for --executor ray; give a folder")


def perform_runs(
    experiment: Experiment,
    runs: Path,
    out: Path,
    known: Sequence[Known],
    performer: Performer,
    command: str,
    progress: Callable[[Sequence[Status]], None],
) -> tuple[pd.DataFrame, list[Status]]:
    """Train and measure what is to do below the folder `runs`, and write the report to `out`.

    Returns its rows and how the runs fared; without a finished run, no rows and no report.
    """
    executor, device = performer
    collected = runs / experiment.name
    images = sets.load(experiment.data, experiment.model.image_size)
    experiment = experiment.model_copy(update={"evaluate": with_metrics(experiment.evaluate, images)})
    # bad input is refused before anything is written
    warn_of_unused(known, plan.plan(experiment, runs, known), [out / RESULTS, collected / RESULTS])
    make_writable(out)
    table, collected_runs, due = pd.DataFrame(), 0, 0.0
    with plan.exclusively(collected):
        statuses = plan.plan(experiment, runs, known)
        plan.write(statuses)
        progress(statuses)
        reference = perform.reference_lines(experiment, images, device)
        with closing(executor.perform(statuses)) as performing:
            for _ in performing:
                progress(statuses)
                finished, start = sum(status.is_finished for status in statuses), time.monotonic()
                is_last = not any(status.state in ("waiting", "running") for status in statuses)
                if finished > collected_runs and (start >= due or is_last):
                    table = collect.collect(experiment, statuses, reference, collected, command)
                    collected_runs, due = finished, start + _COLLECTING * (time.monotonic() - start)
        for status in statuses:
            status.rows = None  # the report reads them again, and thousands take memory
        if collected_runs:
            write.write(collected / RESULTS, out, command)
    return table, statuses
