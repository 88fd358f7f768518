"""Pictures that a user wants translated, or styles taken from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from sg2bench.data.decode import EXTENSIONS, read_image


@dataclass(frozen=True)
class Picture:
    """An image of a folder: `group` is the folder it lies in (`.` for none), pixels uint8 (3, S, S)."""

    group: str
    stem: str
    pixels: Tensor


def read_pictures(place: Path, image_size: int) -> list[Picture]:
    """One image file, or all those of a folder and of the folders in it, at any depth, in name order, each whole and
    resized to a square.

    Raises ValueError if there are none, or if two would get the same name.
    """
    if not place.exists():
        raise ValueError(f"{place}: no such folder or file")
    files = list(_files(place)) if place.is_dir() else [place]
    if not files:
        raise ValueError(f"{place}: holds no images ({', '.join(EXTENSIONS)}), nor do the folders in it")
    pictures, side = {}, (image_size, image_size)
    for file in files:
        group = "." if file == place else file.parent.relative_to(place).as_posix()
        if (group, file.stem) in pictures:
            raise ValueError(f"{file}: another image there has the same name but for its ending; rename one")
        pixels = np.array(read_image(file).resize(side, Image.Resampling.BILINEAR))
        pictures[group, file.stem] = Picture(group, file.stem, torch.from_numpy(pixels).permute(2, 0, 1))
    return list(pictures.values())


def _files(folder: Path, above: tuple[Path, ...] = ()) -> Iterator[Path]:
    """Image files by name, without hidden files and folders; links are followed, but not back to a folder above."""
    here = folder.resolve()
    if here in above:
        return
    for path in sorted(folder.iterdir()):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            yield from _files(path, (*above, here))
        elif path.suffix.lower() in EXTENSIONS:
            yield path
