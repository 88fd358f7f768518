"""Event files for TensorBoard, from the logs and rows that runs leave: an optional extra."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from PIL import Image

from sg2bench import rows
from sg2bench.layout import LOG, ROWS, SAMPLES

_SUFFIX = ".sg2bench"
"""Of the event files that are ours to replace."""


def write(runs: Path, out: Path) -> list[Path]:
    """Write the event files of each run found below `runs` to the same place below `out`, in place of earlier ones.

    A run gives the terms of `train.csv`, its overall values as `metrics/<mode>/<metric>`, those of several steps on the
    even sources as `metrics-even-sources/…`, and its sample grids; one that is still training, what is there already.
    Returns the folders written. Raises ValueError if there is no run, and without TensorBoard.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 (an optional extra)
    except ImportError:
        raise ValueError("TensorBoard is not installed: pip install tensorboard") from None
    found = sorted(log.parent for log in runs.rglob(LOG))
    if not found:
        raise ValueError(f"{runs}: no run folder found; a run has a {LOG} there")
    folders = [out / run.relative_to(runs) for run in found]
    for run, folder in zip(found, folders, strict=True):
        scalars = _scalars(run / LOG)
        last = scalars[-1][2] if scalars else 0
        for earlier in folder.glob(f"events.out.tfevents.*{_SUFFIX}"):
            earlier.unlink()
        with SummaryWriter(folder, filename_suffix=_SUFFIX) as writer:
            for scalar in scalars:
                writer.add_scalar(*scalar)
            for sample in sorted((run / SAMPLES).glob("*.png")):
                writer.add_image(f"samples/{sample.stem}", np.asarray(Image.open(sample)), last, dataformats="HWC")
            if (run / ROWS).is_file():
                table = rows.overall(rows.read(run / ROWS))
                for group, of_group in (
                    ("metrics", rows.of_all_sources(table)),
                    ("metrics-even-sources", rows.of_half(table, "even")),
                ):
                    for row in of_group.itertuples():
                        writer.add_scalar(f"{group}/{row.mode}/{row.metric}", row.value, row.step)
    return folders


def _scalars(log: Path) -> list[tuple[str, float, int]]:
    """Term, value and step of each line of a training log; the last line is left out while it is being written."""
    lines = csv.DictReader(line for line in log.read_text(encoding="utf-8").splitlines(True) if line[-1] == "\n")
    try:
        return [
            (term, float(value), int(line["step"]))
            for line in lines
            for term, value in line.items()
            if value and term != "step"
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{log}: line {lines.line_num}: not of a training log: {error!r}") from None
