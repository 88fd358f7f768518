"""Event files for TensorBoard, from the logs and rows that runs leave: an optional extra."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from PIL import Image

from sg2bench import results
from sg2bench.ablation import ROWS, SAMPLES
from sg2bench.training.loop import LOG


def write(runs: Path, out: Path) -> list[Path]:
    """Write the event files of each run found below `runs` to the same place below `out`, in place of earlier ones.

    A run gives the terms of `train.csv`, its overall values as `metrics/<mode>/<metric>`, and its sample grids; one
    that is still training, what is there already. Returns the folders written. Raises ValueError if there is no run,
    and without TensorBoard.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 (an optional extra)
    except ImportError:
        raise ValueError('TensorBoard is not installed: pip install "sg2bench[tensorboard]"') from None
    found = sorted(log.parent for log in runs.rglob(LOG))
    if not found:
        raise ValueError(f"{runs}: no run folder found; a run has a {LOG} there")
    folders = [out / run.relative_to(runs) for run in found]
    for run, folder in zip(found, folders, strict=True):
        for earlier in folder.glob("events.out.tfevents.*"):
            earlier.unlink()
        with SummaryWriter(folder) as writer:
            last = 0
            for line in _lines(run / LOG):
                last = int(line.pop("step"))
                for term, value in line.items():
                    if value:
                        writer.add_scalar(term, float(value), last)
            for sample in sorted((run / SAMPLES).glob("*.png")):
                writer.add_image(f"samples/{sample.stem}", np.asarray(Image.open(sample)), last, dataformats="HWC")
            if (run / ROWS).is_file():
                table = results.read(run / ROWS)
                for row in table[(table["source"] == "*") & (table["target"] == "*")].itertuples():
                    writer.add_scalar(f"metrics/{row.mode}/{row.metric}", row.value, row.step)
    return folders


def _lines(log: Path) -> list[dict[str, str]]:
    """The lines of a training log; the last one is left out while it is being written."""
    return list(csv.DictReader(line for line in log.read_text(encoding="utf-8").splitlines(True) if line[-1] == "\n"))
