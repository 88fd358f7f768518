"""Files next to result rows, which may be somebody else's: each is used only if its content is valid."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from PIL import Image

from sg2bench import curves, yaml_files
from sg2bench.layout import CURVES, EXAMPLES, EXPERIMENT, MADE_BY, grid_file, pictures_of
from sg2bench.report import examples

_MOST_BYTES = 400_000_000
"""Largest file of a sample grid; Pillow refuses images of too many pixels."""


@dataclass(frozen=True)
class Material:
    """The files next to result rows; `files` are all of them, by their places in the folder."""

    files: dict[Path, Path]
    experiment: str
    """The text of `experiment.yaml`; empty without that file."""
    curves: pd.DataFrame | None


def read(folder: Path, variants: Iterable[str], modes: Iterable[str]) -> Material:
    """Read the files next to rows of these variants and modes. Raises ValueError for a file with invalid content."""
    pictures = pictures_of(modes)
    names = [Path(CURVES), Path(EXPERIMENT), *(grid_file(variant, each) for variant in variants for each in pictures)]
    files = {name: file for name in names if (file := _inside(folder, name)) is not None}
    for name, file in files.items():
        if name.suffix == ".png":
            _refuse_bad_grid(file)
        if name in {grid_file(variant, EXAMPLES) for variant in variants}:
            examples.read(file)
    found = files.get(Path(CURVES))
    return Material(files, _experiment(folder), None if found is None else curves.read(found, ("variant", "seed")))


def command(folder: Path) -> str:
    """Return the command that made the rows according to the folder's `experiment.yaml`; empty if it names none."""
    first = _experiment(folder).partition("\n")[0]
    return first.removeprefix(MADE_BY).strip() if first.startswith(MADE_BY) else ""


def _inside(folder: Path, name: Path) -> Path | None:
    """Return a regular file of the folder, None if it is missing. Raises ValueError for anything else of that name."""
    file = folder / name
    if not file.exists() and not file.is_symlink():
        return None
    if not file.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"{file}: is a link that leads out of {folder}; put the file itself there, or remove the link")
    if not file.is_file():
        raise ValueError(f"{file}: is not a regular file; remove it")
    return file


def _experiment(folder: Path) -> str:
    if (path := _inside(folder, Path(EXPERIMENT))) is None:
        return ""
    plain = yaml_files.read(path)
    if not isinstance(plain, dict | None):
        raise ValueError(f"{path}: an experiment is a mapping, got {type(plain).__name__}")
    return path.read_text(encoding="utf-8-sig")


def _refuse_bad_grid(file: Path) -> None:
    """Raise ValueError if a file is not a PNG that a page can show, without decoding it."""
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise ValueError(f"larger than {_MOST_BYTES} bytes")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(file, formats=("PNG",)) as image:
                image.verify()
    except Exception as error:  # Pillow raises many kinds of exceptions for invalid files
        raise ValueError(f"{file}: not a sample grid in PNG ({error}); repair or remove it") from None
