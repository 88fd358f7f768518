"""Perform an experiment's runs and write its report, for `api.ablate`."""

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
"""After collecting rows, wait this many times as long as that took: collecting takes at most a tenth of the time."""
Performer = tuple[Executor, torch.device]
"""The executor of the runs, and the device on which the command itself measures the reference lines."""


def local_performer(experiment: Experiment, device: str, workers: int | None) -> Performer:
    """Return an executor that starts local processes. Raises ValueError for an unavailable device."""
    most = len(experiment.variants) * len(experiment.seeds)
    resources = experiment.resources
    slots = devices.slots(device, workers and min(workers, most), resources.gpus, resources.cpus)
    return LocalExecutor(slots), devices.device(slots[0].split(",")[0])


def ray_performer(runs: Path, url: str | None, address: str | None, device: str, workers: int | None) -> Performer:
    """Return an executor that submits tasks to a Ray cluster. With a `url`, the folder `runs` is a copy of it."""
    from sg2bench.runs.ray import RayExecutor  # noqa: PLC0415 (an optional extra)

    return RayExecutor(runs, device, workers, address, url), devices.device("cpu" if device == "cpu" else "auto")


def refuse_other_place(executor: str, address: str | None, runs: str) -> None:
    """Raise ValueError if options do not fit together: `address` and a URL need the executor ray."""
    if executor not in ("local", "ray"):
        raise ValueError(f"--executor {executor}: expected local or ray")
    if executor == "local" and address is not None:
        raise ValueError(f"--address {address}: needs --executor ray")
    if executor == "local":
        storage.refuse_url(runs)


def perform_runs(
    experiment: Experiment,
    runs: Path,
    out: Path,
    known: Sequence[Known],
    performer: Performer,
    command: str,
    progress: Callable[[Sequence[Status]], None],
) -> tuple[pd.DataFrame, list[Status]]:
    """Perform the unfinished runs in the folder `runs`, and write the report to `out`.

    Returns the rows, and the status of each run. If no run has finished, there are no rows and no report.
    """
    executor, device = performer
    collected = runs / experiment.name
    first = experiment.first()
    images = sets.load(first.data, first.model.image_size)
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
            status.rows = None  # the report reads them again; thousands of tables would fill memory
        if collected_runs:
            write.write(collected / RESULTS, out, command)
    return table, statuses
