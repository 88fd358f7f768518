"""Blind comparison: a reader compares two runs without knowing which is which."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from sg2bench.layout import PathLike, ema_file, with_home

if TYPE_CHECKING:
    from sg2bench.runs.job import Job


def compare_blind(
    first: PathLike,
    second: PathLike,
    *,
    pairs: int = 30,
    seed: int = 0,
    out: PathLike = "blind.html",
    device: str = "auto",
) -> pd.DataFrame:
    """Write a page on which a reader chooses between outputs of two runs for the same sources and references.

    `first` and `second` are run folders, or checkpoints in them. The `seed` draws the pairs and the sides. The page is
    a single file that shows its result at the end and saves the choices for `read_choices`. Returns a row per pair:
    source, reference, and the runs on the left and on the right. Raises ValueError for runs of different images or
    sizes.
    """
    from sg2bench import devices  # noqa: PLC0415 (torch, seconds)
    from sg2bench.models import checkpoints  # noqa: PLC0415
    from sg2bench.report import blind as page  # noqa: PLC0415
    from sg2bench.runs import job  # noqa: PLC0415
    from sg2bench.samples import blind  # noqa: PLC0415

    (one, file), (other, other_file) = (_run(with_home(place)) for place in (first, second))
    if one.name == other.name:
        raise ValueError(f"{other_file}: belongs to {one.name}, like {file}; compare two variants, or two seeds")
    size = one.experiment.model.image_size
    if (one.data_fingerprint, size) != (other.data_fingerprint, other.experiment.model.image_size):
        raise ValueError(
            f"{file} and {other_file}: were trained on different images or at different sizes; compare runs of one "
            "experiment"
        )
    for option, value, least in (("pairs", pairs, 1), ("seed", seed, 0)):
        if value < least:
            raise ValueError(f"--{option} {value}: expected {least} or more")
    images, where = job.load_images(one), devices.device(device)
    models = [
        checkpoints.build(each.experiment.model, len(images.domains), path).to(where)
        for each, path in ((one, file), (other, other_file))
    ]
    found = list(blind.pairs(models, images, size, pairs, seed))
    names = (one.name, other.name)
    page.write(
        [page.Shown(each.source, each.reference, each.left, each.images) for each in found], names, seed, with_home(out)
    )
    return pd.DataFrame(
        {"source": each.source, "reference": each.reference, "left": names[each.left], "right": names[1 - each.left]}
        for each in found
    )


def read_choices(files: PathLike | Sequence[PathLike]) -> pd.DataFrame:
    """Count choices that the page of `compare_blind` saved: which run readers preferred, with a 95 % interval.

    Columns and errors are those of `report.blind.preference`.
    """
    from sg2bench.report import blind  # noqa: PLC0415

    named = [files] if isinstance(files, str | os.PathLike) else files
    return blind.preference([with_home(file) for file in named])


def _run(place: Path) -> tuple[Job, Path]:
    """Return the run of a folder or checkpoint, and its checkpoint. Raises ValueError if a run has no checkpoint."""
    from sg2bench.runs import job  # noqa: PLC0415

    if place.is_dir():
        found = job.read(place)
        place = place / ema_file(found.steps)
        if not place.is_file():
            raise ValueError(f"{place}: is missing; the run is not finished, or its networks were removed")
        return found, place
    if not place.is_file():
        raise ValueError(f"{place}: no such run folder or checkpoint")
    of_run = job.of_checkpoint(place)
    if of_run is None:
        raise ValueError(f"{place}: is not in a run's folder, whose config.yaml names the model and its images")
    return of_run, place
