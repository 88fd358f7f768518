"""The steps of a run that are measured, on which part of its sources, and the best of them."""

from __future__ import annotations

from itertools import permutations

import pandas as pd

from sg2bench import rows
from sg2bench.evaluation.guidance import Part
from sg2bench.evaluation.protocol import Protocol
from sg2bench.files import is_intact
from sg2bench.layout import ROWS, STEPS, ema_file
from sg2bench.runs.job import Job
from sg2bench.training.resume import trained_steps

Measured = tuple[int, Part]
"""A step, and the part of the sources that is translated."""
_KEY = ["metric", "mode", "protocol_hash", "source", "target"]
"""Columns that identify a row of one step."""
_NO_ROWS = pd.DataFrame(columns=list(rows.COLUMNS))


def wanted(job: Job, table: pd.DataFrame) -> list[Measured]:
    """Return what a run must measure, in the order of its rows. If no other steps are measured, this is only the last
    step on all sources. Otherwise it is all steps on the even sources; then, on the odd ones, the best step (once
    `table` has the even rows) and the last; and finally the last step on all sources.
    """
    even: list[Measured] = [(step, "even") for step in job.experiment.train.evaluated_steps]
    if not even:
        return [(job.steps, "all")]
    odd = {job.steps}
    if all(_is_whole(job, table, each) for each in even):
        odd.add(rows.best_step(of(job, table, even), best_by(job)))
    return [*even, *((step, "odd") for step in sorted(odd)), (job.steps, "all")]


def missing(job: Job, table: pd.DataFrame) -> list[Measured]:
    """Return the part of `wanted` whose rows are not all in the table, for these images, protocol, metrics and
    modes.
    """
    if table.empty:
        return wanted(job, table)
    return [each for each in wanted(job, table) if not _is_whole(job, table, each)]


def of(job: Job, table: pd.DataFrame, measured: list[Measured]) -> pd.DataFrame:
    """Return only the rows of `measured`, in that order."""
    chosen = [_chosen(job, table, each) for each in measured]
    if len(chosen) == 1:
        return table if chosen[0].all() else table[chosen[0]]
    return pd.concat([table[:0], *(table[each] for each in chosen)])


def asked(job: Job, table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that a job asks for, in order, as far as the table has them."""
    measured = wanted(job, table)
    keys = set().union(*(_keys(job, each) for each in measured))
    return of(job, table[pd.MultiIndex.from_frame(table[_KEY]).isin(keys)], measured)


def lacking(job: Job, table: pd.DataFrame, measured: Measured) -> list[tuple[str, ...]]:
    """Return metric, mode, protocol hash, source and target of the rows that the table lacks."""
    found = table[_chosen(job, table, measured)]
    return sorted(_keys(job, measured).difference(found[_KEY].itertuples(index=False, name=None)))


def without(job: Job, table: pd.DataFrame, measured: Measured) -> pd.DataFrame:
    return table[~_chosen(job, table, measured)]


def stored(job: Job) -> pd.DataFrame:
    """Return the rows in the run's folder if they are of this job; otherwise none."""
    if not is_intact(job.folder, ROWS, config_hash=job.config_hash):
        return _NO_ROWS
    (table,) = rows.read_unchecked([job.folder / ROWS])
    return table[(table["data_fingerprint"] == job.data_fingerprint) & (table["config_hash"] == job.config_hash)]


def best_by(job: Job) -> str:
    """Return the metric that chooses the best step."""
    return job.experiment.train.best_by or job.experiment.evaluate.metrics[0]


def refuse_steps_gone_by(job: Job) -> None:
    """Raise ValueError if training is past a step that should be measured, without having kept its networks."""
    gone = [
        step
        for step in job.experiment.train.evaluated_steps[:-1]
        if not (job.folder / STEPS / ema_file(step)).is_file()
    ]
    if not gone:
        return
    trained = job.steps if (job.folder / ema_file(job.steps)).is_file() else trained_steps(job.folder)
    if trained >= gone[0]:
        raise ValueError(
            f"{job.folder}: the networks of step {gone[0]} were not kept, and training is at step {trained}; remove "
            "the folder to train again, or leave the step out of train.evaluate_at or evaluate_every"
        )


def _is_whole(job: Job, table: pd.DataFrame, measured: Measured) -> bool:
    return not lacking(job, table, measured)


def _keys(job: Job, measured: Measured) -> set[tuple[str, ...]]:
    """Return metric, mode, protocol hash, source and target of the rows that a job asks for: of all pairs and their
    means.
    """
    protocol, domains = _protocol(job, measured), job.experiment.data.domains or ()
    pairs = [*permutations(domains, 2), *(("*", target) for target in (*domains, "*"))]
    return {
        (*value, *pair)
        for metric, mode in job.experiment.evaluate.measured
        for value in [(metric, mode, protocol.hash(metric))]
        for pair in pairs
    }


def _chosen(job: Job, table: pd.DataFrame, measured: Measured) -> pd.Series[bool]:
    return (table["step"] == measured[0]) & (table["protocol"] == _protocol(job, measured).title)


def _protocol(job: Job, measured: Measured) -> Protocol:
    return Protocol(job.experiment.evaluate, job.experiment.model.image_size, measured[1])
