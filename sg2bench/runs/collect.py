"""What the runs of an experiment gave, together in a report folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from sg2bench import experiments, rows
from sg2bench.config import Experiment
from sg2bench.files import atomic_file, copy
from sg2bench.layout import CURVES, EXPERIMENT, GRIDS, LOG, MADE_BY, RESULTS, ROWS, grid_file, pictures_of, sample_file
from sg2bench.runs import steps
from sg2bench.runs.status import Status


def collect(
    experiment: Experiment, statuses: Sequence[Status], reference: pd.DataFrame, out: Path, command: str
) -> pd.DataFrame:
    """Put what the finished runs gave into a report folder, for `report.write`; returns the rows.

    `results.csv` (the experiment's metrics and modes, reference lines last), `experiment.yaml` (with the command),
    `curves.csv` (the runs' training logs) and, of each variant's first seed, the pictures. Files of an earlier call for
    which there is nothing now are removed. Raises ValueError if no run is finished.
    """
    finished = [status for status in statuses if status.is_finished]
    if not finished:
        raise ValueError("no run finished, there is nothing to report")
    table = pd.concat([_rows(status) for status in finished])
    asked = table["metric"].isin(experiment.evaluate.metrics) & table["mode"].isin(experiment.evaluate.modes)
    table = pd.concat([table[asked], reference], ignore_index=True).astype({"outputs_per_source": "Int64"})
    rows.write(table, out / RESULTS)
    with atomic_file(out / EXPERIMENT) as temporary:
        temporary.write_text(f"{MADE_BY}{command}\n{experiments.dump(experiment)}", encoding="utf-8")
    if curves := [found for status in finished if (found := _curves(status)) is not None]:
        with atomic_file(out / CURVES) as temporary:
            pd.concat(curves, ignore_index=True).to_csv(temporary, index=False)
    else:
        (out / CURVES).unlink(missing_ok=True)
    pictures = {
        out / grid_file(status.job.variant, picture): file
        for status in reversed(finished)
        for picture in pictures_of(experiment.evaluate.modes)
        if (file := _picture(status, picture)) is not None
    }
    for place, file in pictures.items():
        if file.is_file():  # one of a known file may be gone by now: then its copy stays
            copy(file, place)
    for earlier in set((out / GRIDS).glob("*.png")).difference(pictures):
        earlier.unlink()
    return table


def _rows(status: Status) -> pd.DataFrame:
    """Of a finished run, those that its configuration asks for, read once."""
    if status.rows is None and status.known is not None:
        status.rows = status.known.rows_of(status.job)
    elif status.rows is None:
        table = rows.read(status.job.folder / ROWS)
        status.rows = steps.of(status.job, table, steps.wanted(status.job, table))
    return status.rows


def _curves(status: Status) -> pd.DataFrame | None:
    """The training log, with variant and seed."""
    if status.known is not None:
        return status.known.curves_of(status.job)
    if not (log := status.job.folder / LOG).is_file():
        return None
    return pd.read_csv(log).assign(variant=status.job.variant, seed=status.job.seed)


def _picture(status: Status, picture: str) -> Path | None:
    if status.known is not None:
        return status.known.picture_of(status.job, picture)
    return file if (file := status.job.folder / sample_file(picture)).is_file() else None
