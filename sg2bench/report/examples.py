"""The examples of all variants, stacked into one labelled picture: the same translations by each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.font_manager import FontProperties, findfont
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from sg2bench.layout import EXAMPLES_ACROSS
from sg2bench.report import plots

_INPUTS = ("source", "reference", "right image")
_TILE, _LARGEST_TILE = 192, 1024
"""Sides of tiles in pixels: smaller ones are enlarged by a whole factor up to the first; those above the second are
refused.
"""
_GAP, _BREAK, _MARGIN, _FONT_SIZE = 4, 28, 16, 34
_INK, _EDGE = "#1d2330", "#d5d9e0"
_LEVELS = 2
"""Mean difference above which images count as different; another library may decode with smaller ones."""


def stack(files: Mapping[str, Path]) -> Image.Image:
    """Draw sources, references and right images once, then a row for each variant, in the order of `files`.

    Raises ValueError for a file that is not as a run draws it, or that shows other images than the first one.
    """
    pictures = {variant: read(file) for variant, file in files.items()}
    first = next(iter(files))
    side = pictures[first].shape[1] // EXAMPLES_ACROSS
    inputs = pictures[first][:-side]
    for variant, pixels in pictures.items():
        same = pixels.shape == pictures[first].shape
        if not same or np.abs(pixels[:-side].astype(int) - inputs).mean() > _LEVELS:
            raise ValueError(
                f"{files[variant]}: shows other images than {files[first].name}; remove it, or the one in its run's "
                "folder, and run the command that made it again"
            )
    rows = list(zip(_INPUTS, np.split(inputs, len(inputs) // side), strict=False))
    outputs = [(variant, pixels[-side:]) for variant, pixels in pictures.items()]
    return _drawn(rows, outputs, side)


def knows_right_images(picture: Path) -> bool:
    """Return whether a run's picture has the row of right images."""
    height, width, _ = read(picture).shape
    return bool(height * EXAMPLES_ACROSS == 4 * width)


def read(file: Path) -> NDArray[np.uint8]:
    """Return a run's picture as RGB (height, width, 3). Raises ValueError for an impossible size."""
    with Image.open(file, formats=("PNG",)) as image:
        side, odd = divmod(image.width, EXAMPLES_ACROSS)
        if odd or not 0 < side <= _LARGEST_TILE or image.height not in (3 * side, 4 * side):
            raise ValueError(
                f"{file}: is {image.width} × {image.height} px, expected square tiles of at most {_LARGEST_TILE} px, "
                f"{EXAMPLES_ACROSS} across and 3 or 4 down; remove it"
            )
        try:
            return np.asarray(image.convert("RGB"))
        except (OSError, SyntaxError) as error:  # Pillow raises these for a truncated file
            raise ValueError(f"{file}: cannot be read ({error}); remove it") from None


def _drawn(
    inputs: list[tuple[str, NDArray[np.uint8]]], outputs: list[tuple[str, NDArray[np.uint8]]], side: int
) -> Image.Image:
    """Draw labelled rows of tiles, inputs above outputs."""
    font = ImageFont.truetype(findfont(FontProperties()), _FONT_SIZE)
    labels = plots.short([label for label, _ in (*inputs, *outputs)])
    left = 2 * _MARGIN + int(max(map(font.getlength, labels)))
    tile = side * max(1, _TILE // side)
    step = tile + _GAP
    width, height = left + EXAMPLES_ACROSS * step + _GAP, len(labels) * step + _GAP + _BREAK
    sheet = Image.new("RGB", (width, height), "white")
    pen = ImageDraw.Draw(sheet)
    for place, (label, (_, strip)) in enumerate(zip(labels, (*inputs, *outputs), strict=True)):
        top = place * step + _BREAK * (place >= len(inputs))
        pen.rectangle((left, top, width, top + step + _GAP - 1), fill=_EDGE)
        pen.text((_MARGIN, top + step / 2), label, fill=_INK, font=font, anchor="lm")
        for column in range(EXAMPLES_ACROSS):
            image = Image.fromarray(strip[:, column * side : (column + 1) * side])
            sheet.paste(image.resize((tile, tile), Image.Resampling.NEAREST), (left + _GAP + column * step, top + _GAP))
    return sheet
