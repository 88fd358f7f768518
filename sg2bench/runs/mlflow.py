"""Log runs to MLflow, from their configurations, logs and rows: an optional extra."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sg2bench.layout import ROWS, SAMPLES
from sg2bench.runs import job, scalars

_RUN, _HASH = "sg2bench.run", "sg2bench.config_hash"
_PARAMS = {"data", "model", "loss", "train"}
_BATCH = 1000
"""Largest number of values in one request to MLflow."""


def write(runs: Path, uri: str) -> int:
    """Log the runs found below `runs` to the MLflow at a tracking URI; return their number.

    Each run becomes a run of MLflow's experiment of the same name: its settings are parameters, the terms of
    `train.csv` and the values of `runs.scalars` are metrics by step, and its sample grids are artifacts. Values that
    MLflow has already are not logged again. Raises ValueError if there is no run, if MLflow is not installed, or if it
    reports an error.
    """
    try:
        from mlflow import MlflowClient, MlflowException  # noqa: PLC0415 (an optional extra)
    except ImportError:
        raise ValueError("MLflow is not installed: pip install mlflow") from None
    found = scalars.found_runs(runs)
    try:
        client = MlflowClient(tracking_uri=uri)
        for folder in found:
            _log(client, folder)
    except MlflowException as error:
        raise ValueError(f"MLflow at {uri}: {error.message}") from None
    return len(found)


def _log(client: Any, folder: Path) -> None:
    from mlflow.entities import Metric  # noqa: PLC0415 (an optional extra)

    run = _find_or_create(client, job.read(folder))
    run_id, start = run.info.run_id, run.info.start_time
    logged = [metric for tag in run.data.metrics for metric in client.get_metric_history(run_id, tag)]
    known = {(each.key, each.step): each.value for each in sorted(logged, key=lambda each: each.timestamp)}
    now = time.time_ns() // 10**6
    new = [
        Metric(tag, value, now if (tag, step) in known else start, step)
        for tag, value, step in (*scalars.of_log(folder), *scalars.of_rows(folder))
        if known.get((tag, step)) != value
    ]
    for begin in range(0, len(new), _BATCH):
        client.log_batch(run_id, metrics=new[begin : begin + _BATCH])
    for sample in sorted((folder / SAMPLES).glob("*.png")):
        client.log_artifact(run_id, str(sample), SAMPLES)
    if (folder / ROWS).is_file():
        client.set_terminated(run_id)


def _find_or_create(client: Any, of: job.Job) -> Any:
    """Return MLflow's run of a job, found by name and configuration hash, or a new one."""
    from mlflow.entities import Param  # noqa: PLC0415 (an optional extra)

    experiment = client.get_experiment_by_name(of.experiment.name)
    experiment_id = experiment.experiment_id if experiment else client.create_experiment(of.experiment.name)
    tags = {_RUN: of.name, _HASH: of.config_hash}
    found = client.search_runs([experiment_id], " and ".join(f"tags.`{tag}` = '{tags[tag]}'" for tag in tags))
    if found:
        return found[0]
    run = client.create_run(experiment_id, run_name=of.name, tags=tags)
    settings = _flat(of.experiment.model_dump(mode="json", include=_PARAMS))
    client.log_batch(run.info.run_id, params=[Param(key, str(value)) for key, value in settings])
    return run


def _flat(settings: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield settings by dotted keys."""
    for key, value in settings.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
