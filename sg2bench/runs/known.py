"""Runs whose rows are known already, such as from another machine or somebody else's seeds."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import cast

import pandas as pd

from sg2bench.layout import grid_file
from sg2bench.rows import ROW_KEY
from sg2bench.runs import steps
from sg2bench.runs.job import Job
from sg2bench.runs.status import Status

_OF_A_RUN = ["variant", "data_fingerprint", "config_hash", "seed"]
"""Columns that identify a run, whatever its experiment is called."""
_ROW_KEY = [column for column in ROW_KEY if column != "experiment"]
_Run = tuple[str, str, str, int]


@dataclass(frozen=True)
class Known:
    """A file of result rows, and the files next to it."""

    path: Path
    table: pd.DataFrame
    """Its rows of models."""
    curves: pd.DataFrame | None
    files: Mapping[Path, Path]
    """Files by place in a report folder; pictures are of a variant's first seed in the table."""

    @cached_property
    def runs(self) -> dict[_Run, pd.DataFrame]:
        """Return the rows of each run. Raises ValueError if two experiments have different values of it."""
        once = self.table.drop_duplicates(_ROW_KEY)
        if len(once) < len(self.table) and _differ(once, self.table.drop(once.index)):
            names = ", ".join(sorted(self.table["experiment"].unique()))
            raise ValueError(f"{self.path}: has different values of the same run in several experiments ({names})")
        return {cast(_Run, run): rows for run, rows in once.groupby(_OF_A_RUN, sort=False)}

    def rows_of(self, job: Job) -> pd.DataFrame:
        """Return the rows that a job asks for, as far as they are known, under the name of its experiment."""
        known = self.runs.get(_run(job), self.table[:0])
        return steps.asked(job, known.assign(experiment=job.experiment.name))

    def curves_of(self, job: Job) -> pd.DataFrame | None:
        """Return the training log, with variant and seed, if it is known."""
        if self.curves is None:
            return None
        own = self.curves[(self.curves["variant"] == job.variant) & (self.curves["seed"] == job.seed)]
        return None if own.empty else own.dropna(axis="columns", how="all")

    def picture_of(self, job: Job, picture: str) -> Path | None:
        """Return one of a run's PICTURES, if it is known."""
        first = next(seed for variant, _, _, seed in self.runs if variant == job.variant)
        return self.files.get(grid_file(job.variant, picture)) if job.seed == first else None


def find(job: Job, tables: Sequence[Known]) -> Known | None:
    """Return the first table with all rows of a run. Raises ValueError if another table has different values."""
    found = next((each for each in tables if not steps.missing(job, each.rows_of(job))), None)
    for other in tables:
        if found is not None and _differ(found.rows_of(job), other.rows_of(job)):
            raise ValueError(
                f"{found.path} and {other.path} have different values of {job.variant} seed {job.seed}; leave one of "
                "them out, or remove its rows of this run"
            )
    return found


def warn_of_unused(tables: Sequence[Known], statuses: Sequence[Status], out: Sequence[Path]) -> None:
    """Warn about known runs that no planned run uses. Raises ValueError if their table is in `out`, which is
    overwritten, or if a used run has rows there that were not asked for.
    """
    for table in tables:
        is_overwritten = table.path.resolve() in [file.resolve() for file in out]
        if line := unused(table, statuses):
            if is_overwritten:
                raise ValueError(f"{line}. Their rows would be overwritten; give --known a copy of the file")
            warnings.warn(line, stacklevel=3)
        for status in statuses if is_overwritten else ():
            if status.known is table and len(table.rows_of(status.job)) < len(table.runs[_run(status.job)]):
                raise ValueError(
                    f"{table.path}: {status.job.name} has rows of other metrics, modes or steps, which would be "
                    "overwritten; give --known a copy of the file, or another --out"
                )


def unused(table: Known, statuses: Sequence[Status]) -> str:
    """Say in one line which runs of a table no planned run uses, and why; empty if there are none."""
    if not table.runs:
        return f"{table.path}: holds no runs, only reference lines"
    reasons: dict[str, list[str]] = {}
    for run in table.runs:
        reason, which = _why_unused(table, run, statuses)
        reasons.setdefault(reason, []).append(f"{run[0]} seed {run[-1]}: {which}")
    parts = [f"{len(runs)} {reason} (e.g. {runs[0]})" for reason, runs in reasons.items() if reason]
    return f"{table.path}: unused runs: {'; '.join(parts)}" if parts else ""


def _why_unused(table: Known, run: _Run, statuses: Sequence[Status]) -> tuple[str, str]:
    """Return the reason and its details, both empty if the run is used."""
    of_variant = [status for status in statuses if status.job.variant == run[0]] or statuses
    for column, theirs, *ours in zip(_OF_A_RUN, run, *(_run(status.job) for status in of_variant), strict=True):
        if theirs not in ours:
            here = f"this experiment has {', '.join(dict.fromkeys(map(str, ours)))}"
            if column == "seed":
                seeds = sorted({*ours, *(other[-1] for other in table.runs if other[:-1] == run[:-1])})
                here += f"; use them with --set seeds={seeds}".replace(", ", ",")
            return f"of another {column}", here if column == "seed" else f"{theirs}, {here}"
    (status,) = (status for status in of_variant if status.job.seed == run[-1])
    job, rows = status.job, table.rows_of(status.job)
    if status.known is None and _differ(steps.stored(job), rows):
        return "with values that differ from the run folder, which is used", str(job.folder)
    if status.known is None and status.state != "skipped" and (missing := steps.missing(job, rows)):
        lacks = " ".join(steps.lacking(job, rows, missing[0])[0])
        return "with missing rows, to be trained", f"step {missing[0][0]} lacks {lacks}"
    return "", ""


def _run(job: Job) -> _Run:
    return job.variant, job.data_fingerprint, job.config_hash, job.seed


def _differ(some: pd.DataFrame, others: pd.DataFrame) -> bool:
    """Return whether a row in both tables has different values."""
    if some.empty or others.empty:
        return False
    both = some.merge(others, on=_ROW_KEY)
    return bool((both["value_x"] != both["value_y"]).any())
