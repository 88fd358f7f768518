"""Write event files for TensorBoard from the logs and rows of runs: an optional extra."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from sg2bench.layout import SAMPLES
from sg2bench.runs import scalars

_SUFFIX = ".sg2bench"
"""Suffix of our event files, which may be replaced."""


def write(runs: Path, out: Path) -> list[Path]:
    """Write the event files of each run found below `runs` to the same place below `out`, replacing earlier ones.

    They hold the terms of `train.csv`, overall values as `metrics/<mode>/<metric>`, those of several steps on the even
    sources as `metrics-even-sources/…`, and the sample grids, as far as a run has them. Returns the folders written.
    Raises ValueError if there is no run, or if TensorBoard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 (an optional extra)
    except ImportError:
        raise ValueError("TensorBoard is not installed: pip install tensorboard") from None
    found = scalars.found_runs(runs)
    folders = [out / run.relative_to(runs) for run in found]
    for run, folder in zip(found, folders, strict=True):
        terms = scalars.of_log(run)
        last = terms[-1][2] if terms else 0
        for earlier in folder.glob(f"events.out.tfevents.*{_SUFFIX}"):
            earlier.unlink()
        with SummaryWriter(folder, filename_suffix=_SUFFIX) as writer:
            for scalar in (*terms, *scalars.of_rows(run)):
                writer.add_scalar(*scalar)
            for sample in sorted((run / SAMPLES).glob("*.png")):
                writer.add_image(f"samples/{sample.stem}", np.asarray(Image.open(sample)), last, dataformats="HWC")
    return folders
