"""Pictures given by the user, as sources or as references."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from sg2bench.data import listing
from sg2bench.data.checks import all_broken
from sg2bench.data.decode import EXTENSIONS, decode, read_bytes
from sg2bench.data.listing import LeftOut


@dataclass(frozen=True)
class Picture:
    """An image of a folder: `group` is its subfolder (`.` for none), pixels uint8 (3, S, S)."""

    group: str
    stem: str
    pixels: Tensor


def read_pictures(place: Path, image_size: int) -> list[Picture]:
    """Read one image file, or all images in a folder at any depth, in name order, each resized whole to a square.

    Warns about files that are left out. Raises ValueError if there are no images, if two would get the same name, or if
    some are broken, with their names.
    """
    if not place.exists():
        raise ValueError(f"{place}: no such folder or file")
    root, left_out = place if place.is_dir() else place.parent, LeftOut(place)
    files = list(_files(place, left_out, set())) if place.is_dir() else [place]
    left_out.warn()
    if not files:
        raise ValueError(f"{place}: holds no images ({', '.join(EXTENSIONS)}), nor do the folders in it")
    pictures: dict[tuple[str, str], Picture] = {}
    errors: dict[Path, ValueError] = {}
    for file in files:
        group = file.parent.relative_to(root).as_posix()
        if (group, file.stem) in pictures:
            raise ValueError(f"{file}: another image has the same name with a different extension; rename one")
        try:
            image = decode(read_bytes(file)).resize((image_size, image_size), Image.Resampling.BILINEAR)
        except ValueError as error:
            errors[file.relative_to(root)] = error
            continue
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)
        pictures[group, file.stem] = Picture(group, file.stem, pixels)
    if errors:
        raise all_broken(root, errors, len(files))
    return list(pictures.values())


def _files(folder: Path, left_out: LeftOut, seen: set[Path], above: frozenset[Path] = frozenset()) -> Iterator[Path]:
    """Yield image files by name, skipping hidden files and folders; follow links, but read no folder twice."""
    seen.add(folder.resolve())
    above = above | {folder.resolve()}
    for path, kind in listing.entries(folder):
        if kind == listing.IMAGE or (kind == listing.BROKEN_LINK and path.suffix.lower() in EXTENSIONS):
            yield path
        elif kind != listing.FOLDER:
            left_out.add(kind, path)
        elif path.resolve() not in seen:
            yield from _files(path, left_out, seen, above)
        elif path.resolve() not in above:
            left_out.add(listing.TWICE, path)
