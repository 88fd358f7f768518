"""The image sets, by the names that `data.source` takes."""

from __future__ import annotations

from collections.abc import Callable

from sg2bench.config import Data
from sg2bench.data import critters, emoji, folder, glyphs
from sg2bench.data.images import ImageSet


def _user_s_folder(data: Data, image_size: int) -> ImageSet:
    assert data.root is not None
    return folder.load(data.root, data.domains)


SETS: dict[str, Callable[[Data, int], ImageSet]] = {
    "critters": critters.load,
    "emoji": emoji.load,
    "folder": _user_s_folder,
    "glyphs": glyphs.load,
}


def load(data: Data, image_size: int) -> ImageSet:
    """Load the image set of a configuration; every file of a folder is opened and checked.

    Raises ValueError that names the folder or file and says what to do.
    """
    return SETS[data.source](data, image_size)
