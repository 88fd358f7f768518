"""The numbers of a run for experiment trackers: tag, value, step."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TypeAlias

from sg2bench import rows
from sg2bench.layout import LOG, ROWS

Scalar: TypeAlias = tuple[str, float, int]


def found_runs(runs: Path) -> list[Path]:
    """Return the folders below `runs` that have a training log. Raises ValueError if there are none."""
    found = sorted(log.parent for log in runs.rglob(LOG))
    if not found:
        raise ValueError(f"{runs}: no run folder found; each has a {LOG}")
    return found


def of_log(folder: Path) -> list[Scalar]:
    """Return the terms of a run's training log, without a last line that is still being written.

    Raises ValueError for a file that is not a training log.
    """
    log = folder / LOG
    lines = csv.DictReader(line for line in log.read_text(encoding="utf-8").splitlines(True) if line[-1] == "\n")
    try:
        return [
            (term, float(value), int(line["step"]))
            for line in lines
            for term, value in line.items()
            if value and term != "step"
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{log}: line {lines.line_num}: not a line of a training log: {error!r}") from None


def of_rows(folder: Path) -> list[Scalar]:
    """Return a run's overall values as `metrics/<mode>/<metric>`, and those of several steps on the even sources as
    `metrics-even-sources/…`; none while it trains.
    """
    if not (folder / ROWS).is_file():
        return []
    table = rows.overall(rows.read(folder / ROWS))
    groups = {"metrics": rows.of_all_sources(table), "metrics-even-sources": rows.of_half(table, "even")}
    return [
        (f"{group}/{mode}/{metric}", value, step)
        for group, of_group in groups.items()
        for mode, metric, value, step in of_group[["mode", "metric", "value", "step"]].itertuples(
            index=False, name=None
        )
    ]
