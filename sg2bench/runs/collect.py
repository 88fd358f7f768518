"""Collect the results of an experiment's runs in a report folder."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from sg2bench import curves, experiments, rows
from sg2bench.config import Experiment
from sg2bench.files import atomic_file, copy, is_intact, write_text
from sg2bench.layout import CURVES, EXPERIMENT, GRIDS, LOG, MADE_BY, RESULTS, ROWS, grid_file, pictures_of, sample_file
from sg2bench.runs import steps
from sg2bench.runs.status import Status


def collect(
    experiment: Experiment, statuses: Sequence[Status], reference: pd.DataFrame, out: Path, command: str
) -> pd.DataFrame:
    """Collect the results of finished runs in a report folder, for `report.write`; return the rows.

    Files written: `results.csv` (the experiment's metrics and modes, reference lines last), `experiment.yaml` (with the
    command), `curves.csv` (the runs' training logs) and the pictures of each variant's first seed. Files of an earlier
    call that this one does not write are removed. Raises ValueError if no run is finished.
    """
    finished = [status for status in statuses if status.is_finished]
    if not finished:
        raise ValueError("no run finished, so there is nothing to report")
    _read_rows(finished)
    parts = [status.rows for status in finished if status.rows is not None]
    table = pd.concat([*parts, reference], ignore_index=True).astype({"outputs_per_source": "Int64"})
    asked = table["metric"].isin(experiment.evaluate.metrics) & table["mode"].isin(experiment.evaluate.modes)
    kept = asked | rows.is_line(table)
    table = table if kept.all() else table[kept].reset_index(drop=True)
    rows.write(table, out / RESULTS)
    write_text(out / EXPERIMENT, f"{MADE_BY}{command}\n{experiments.dump(experiment)}")
    if logs := [found for status in finished if (found := _curves(status)) is not None]:
        with atomic_file(out / CURVES) as temporary:
            pd.concat(logs, ignore_index=True).to_csv(temporary, index=False)
    else:
        (out / CURVES).unlink(missing_ok=True)
    pictures = {
        out / grid_file(status.job.variant, picture): file
        for status in reversed(finished)
        for picture in pictures_of(experiment.evaluate.modes)
        if (file := _picture(status, picture)) is not None
    }
    for place, file in pictures.items():
        if file.is_file():  # a picture of a known run may be gone by now; its copy stays
            copy(file, place)
    for earlier in set((out / GRIDS).glob("*.png")).difference(pictures):
        earlier.unlink()
    return table


def _read_rows(finished: Sequence[Status]) -> None:
    """Read once, for each status, the rows that its configuration asks for. Rows without a matching digest are
    validated.
    """
    new = [status for status in finished if status.rows is None]
    ours = [status for status in new if status.known is None]
    intact = [status for status in ours if is_intact(status.job.folder, ROWS, config_hash=status.job.config_hash)]
    tables = rows.read_unchecked([status.job.folder / ROWS for status in intact])
    read = {status.job.name: table for status, table in zip(intact, tables, strict=True)}
    for status in new:
        job = status.job
        if status.known is not None:
            status.rows = status.known.rows_of(job)
            continue
        table = read[job.name] if job.name in read else rows.read(job.folder / ROWS)
        status.rows = steps.of(job, table, steps.wanted(job, table))


def _curves(status: Status) -> pd.DataFrame | None:
    """Return the training log, with variant and seed; None, with a warning, if it is damaged."""
    if status.known is not None:
        return status.known.curves_of(status.job)
    if not (log := status.job.folder / LOG).is_file():
        return None
    try:
        table = curves.read(log)
    except ValueError as error:
        warnings.warn(f"the curves of this run are left out: {error}", stacklevel=2)
        return None
    return table.assign(variant=status.job.variant, seed=status.job.seed).reset_index(drop=True)


def _picture(status: Status, picture: str) -> Path | None:
    if status.known is not None:
        return status.known.picture_of(status.job, picture)
    return file if (file := status.job.folder / sample_file(picture)).is_file() else None
