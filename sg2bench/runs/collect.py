"""What the runs of an experiment gave, together in a report folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from sg2bench import experiments, rows
from sg2bench.config import Experiment
from sg2bench.files import atomic_file, copy
from sg2bench.layout import CURVES, EXPERIMENT, LOG, MADE_BY, NEIGHBOURS, RESULTS, ROWS, grid_file, sample_file
from sg2bench.runs import steps
from sg2bench.runs.job import Job
from sg2bench.runs.status import Status


def collect(
    experiment: Experiment, statuses: Sequence[Status], reference: pd.DataFrame, out: Path, command: str
) -> pd.DataFrame:
    """Put what the finished runs gave into a report folder, for `report.write`; returns the rows.

    `results.csv` (the experiment's metrics and modes, reference lines last), `experiment.yaml` (with the command),
    `curves.csv` (the runs' training logs) and, of each variant's first seed, the sample grids. Raises ValueError if no
    run is finished.
    """
    finished = [status.job for status in statuses if status.state in ("done", "skipped")]
    if not finished:
        raise ValueError("no run finished, there is nothing to report")
    table = pd.concat([_rows(job) for job in finished])
    asked = table["metric"].isin(experiment.evaluate.metrics) & table["mode"].isin(experiment.evaluate.modes)
    table = pd.concat([table[asked], reference], ignore_index=True)
    rows.write(table, out / RESULTS)
    with atomic_file(out / EXPERIMENT) as temporary:
        temporary.write_text(f"{MADE_BY}{command}\n{experiments.dump(experiment)}", encoding="utf-8")
    curves = [
        pd.read_csv(job.folder / LOG).assign(variant=job.variant, seed=job.seed)
        for job in finished
        if (job.folder / LOG).is_file()
    ]
    if curves:
        with atomic_file(out / CURVES) as temporary:
            pd.concat(curves, ignore_index=True).to_csv(temporary, index=False)
    for job in reversed(finished):
        for picture in (*experiment.evaluate.modes, NEIGHBOURS):
            if (sample := job.folder / sample_file(picture)).is_file():
                copy(sample, out / grid_file(job.variant, picture))
    return table


def _rows(job: Job) -> pd.DataFrame:
    """Of a finished run, those that its configuration asks for."""
    table = rows.read(job.folder / ROWS)
    return steps.of(job, table, steps.wanted(job, table))
