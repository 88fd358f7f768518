"""Factors of critters in a folder, from the `factors.csv` that was written with them."""

from __future__ import annotations

import re
import warnings
from collections.abc import Hashable, Mapping
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from sg2bench import csv_files, texts
from sg2bench.data import critters
from sg2bench.data.canvas import Colour
from sg2bench.data.critters import DOMAINS, FACTORS_FILE, RANGES, Factors
from sg2bench.data.images import SPLITS, ImageSet, Split

COLUMNS = ("file", *(field.name for field in fields(Factors)))
_COLOURS = ("fur", "eyes", "background")
_COLOUR = re.compile(r"\(([0-9]{1,3}), ([0-9]{1,3}), ([0-9]{1,3})\)")
_LIKENESS_SIDE, _LIKENESS_LEVELS = 32, 8
"""Side in pixels at which an image is compared with a drawing of its factors, and the largest mean difference in 8-bit
levels to accept.
"""
_ADVICE = f"draw the set again, or remove {FACTORS_FILE} to use the images without it"

Place = tuple[Split, str, int]


class Line(NamedTuple):
    """A line of the file: its number and its factors."""

    number: Hashable
    made_of: Factors


def with_factors(root: Path, images: ImageSet) -> ImageSet:
    """Add the factors of `factors.csv` to the set in a folder, if there is one; warn if the file is of something else.

    Raises ValueError that names the line if factors are missing, out of range, or do not match their image.
    """
    path = root / FACTORS_FILE
    if not path.is_file():
        return images
    if not _is_of_critters(path):
        warnings.warn(
            f"{texts.one_line(str(path))}: ignored: a file of critters' factors has exactly the columns "
            f"{', '.join(COLUMNS)}",
            stacklevel=2,
        )
        return images
    lines = _lines(path)
    made_of = {place: _line_of(path, lines, images, place).made_of for place in _places(path, images)}
    for domain in images.domains:
        for index in range(images.count("val", domain)):
            place: Place = ("val", domain, index)
            _refuse_other_image(path, _line_of(path, lines, images, place), images, place)
    side = images.image("val", images.domains[0], 0).width
    return critters.drawn(images, partial(_look_up, made_of), side)


def _is_of_critters(path: Path) -> bool:
    """Return whether the header is that of a file of critters' factors."""
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        header = file.readline(1000)
    return {cell.strip().strip('"') for cell in header.split(",")} == set(COLUMNS)


def _lines(path: Path) -> dict[str, Line]:
    """Read and validate the file; return its lines by the image they name."""
    table = csv_files.read(path, "factors")
    csv_files.refuse_columns(path, table, COLUMNS, (), _ADVICE)
    numbers = dict.fromkeys(RANGES, (csv_files.NUMBER, "a number")) | {"stripes": (csv_files.WHOLE, "a whole number")}
    colours = dict.fromkeys(_COLOURS, (_COLOUR.pattern, "a colour as (255, 255, 255)"))
    csv_files.refuse_cells(path, table, numbers | colours)
    for column, (low, high) in RANGES.items():
        values = table[column].astype(float)
        bad = ~values.between(low - 1 / 4096, high + 1 / 4096)
        why = f"{column} is not between {low:g} and {high:g}, as for every critter; {_ADVICE}"
        csv_files.refuse(path, table, bad, why)
    for column in _COLOURS:
        bad = table[column].map(lambda cell: max(_colour(cell)) > 255)
        csv_files.refuse(path, table, bad, f"{column} has a value above 255; {_ADVICE}")
    csv_files.refuse(path, table, table["file"].duplicated(), f"an earlier line names the same file; {_ADVICE}")
    return {row["file"]: Line(number, _factors(row)) for number, row in table.to_dict("index").items()}


def _factors(row: Mapping[Hashable, str]) -> Factors:
    x, y, radius, angle = (float(row[column]) for column in ("x", "y", "radius", "angle"))
    fur, eyes, background = (_colour(row[column]) for column in _COLOURS)
    return Factors(x, y, radius, angle, fur, eyes, background, int(float(row["stripes"])))


def _colour(cell: str) -> Colour:
    found = _COLOUR.fullmatch(cell)
    assert found is not None
    red, green, blue = map(int, found.groups())
    return red, green, blue


def _places(path: Path, images: ImageSet) -> list[Place]:
    """Return every image of the set. Raises ValueError for a domain that critters do not have."""
    if other := sorted(set(images.domains) - set(DOMAINS)):
        raise ValueError(
            f"{path}: `{texts.one_line(other[0])}` is not a domain of critters ({', '.join(DOMAINS)}); {_ADVICE}"
        )
    return [
        (split, domain, index)
        for split in SPLITS
        for domain in images.domains
        for index in range(images.count(split, domain))
    ]


def _line_of(path: Path, lines: Mapping[str, Line], images: ImageSet, place: Place) -> Line:
    """Return the line of an image. Raises ValueError if no line names it."""
    if (file := _file(images, place)) not in lines:
        raise ValueError(f"{path}: no line names {texts.one_line(file)}; {_ADVICE}")
    return lines[file]


def _refuse_other_image(path: Path, line: Line, images: ImageSet, place: Place) -> None:
    """Raise ValueError if an image does not look like what is drawn from its factors."""
    image = images.image(*place)
    side = min(_LIKENESS_SIDE, image.width)
    shown = np.asarray(image.resize((side, side), Image.Resampling.BOX)).astype(float)
    off = np.abs(shown - critters.draw(place[1], line.made_of, side)).mean()
    if image.width != image.height or off > _LIKENESS_LEVELS:
        file = texts.one_line(_file(images, place))
        raise ValueError(f"{path}: line {line.number}: {file} does not match a drawing of these factors; {_ADVICE}")


def _file(images: ImageSet, place: Place) -> str:
    split, domain, index = place
    return f"{split}/{domain}/{images.names[split][domain][index]}"


def _look_up(made_of: dict[Place, Factors], split: Split, domain: str, index: int) -> Factors:
    return made_of[split, domain, index]
