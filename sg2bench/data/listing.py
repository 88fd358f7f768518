"""List a folder: images, folders, and everything that is left out, which is reported."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

from sg2bench import texts
from sg2bench.data.decode import EXTENSIONS

IMAGE, FOLDER = "image", "folder"
OTHER_FORMAT = "file{s} in another format"
HIDDEN, HIDDEN_FOLDER = "hidden image{s}", "hidden folder{s}"
BROKEN_LINK, SPECIAL = "broken link{s}", "device{s} or pipe{s}"
DEEPER, LOOSE = "file{s} in folders inside a domain's", "image{s} in no domain's folder"
TWICE = "link{s} to a folder that is read under another name"
SAME = "folder{s} of translations within a domain"
EMPTY, UNUSED = "empty folder{s}", "folder{s} other than train and val"


class LeftOut:
    """Files and folders left out of an image set: the number of each kind, and the first one."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._found: dict[str, tuple[int, Path]] = {}

    def add(self, kind: str, path: Path, number: int = 1) -> None:
        if number:
            before, first = self._found.get(kind, (0, path))
            self._found[kind] = before + number, first

    def update(self, other: LeftOut) -> None:
        for kind, (number, first) in other._found.items():
            self.add(kind, first, number)

    def __bool__(self) -> bool:
        return bool(self._found)

    def __str__(self) -> str:
        parts = []
        for kind, (number, first) in self._found.items():
            what = kind.format(s="" if number == 1 else "s")
            parts.append(f"{number} {what} ({'e.g. ' if number > 1 else ''}{first.relative_to(self.root)})")
        return texts.one_line(", ".join(parts))

    def warn(self) -> None:
        """Warn of everything left out, in one line."""
        if self:
            formats = f"; images are {', '.join(EXTENSIONS)}" if OTHER_FORMAT in self._found else ""
            warnings.warn(f"{texts.one_line(str(self.root))}: left out {self}{formats}", stacklevel=3)


def entries(folder: Path) -> list[tuple[Path, str]]:
    """Return the entries of a folder by name, each with its kind. Of hidden files, only possible images are listed."""
    with os.scandir(folder) as found:
        kinds = [(folder / entry.name, _kind(entry)) for entry in sorted(found, key=lambda entry: entry.name)]
    return [(path, kind) for path, kind in kinds if kind]


def images(folder: Path) -> tuple[list[Path], LeftOut]:
    """Return the images directly in a folder, by name, and everything else in it."""
    found, others = [], LeftOut(folder)
    for path, kind in entries(folder):
        if kind == IMAGE:
            found.append(path)
        elif kind == FOLDER:
            others.add(DEEPER, path, files_below(path))
        else:
            others.add(kind, path)
    return found, others


def _kind(entry: os.DirEntry[str]) -> str:
    is_image, is_hidden = entry.name.lower().endswith(EXTENSIONS), entry.name.startswith(".")
    try:
        if entry.is_file() and is_hidden:
            return HIDDEN if is_image else ""
        if entry.is_file():
            return IMAGE if is_image else OTHER_FORMAT
        if entry.is_dir():
            return HIDDEN_FOLDER if is_hidden else FOLDER
    except OSError:  # a circular link, or one into an unreadable folder
        return BROKEN_LINK
    return BROKEN_LINK if entry.is_symlink() else SPECIAL


def files_below(folder: Path) -> int:
    """Count the files in a folder, at any depth; a link to a folder and an unreadable folder count as one file each."""
    if folder.is_symlink():
        return 1
    unreadable: list[OSError] = []
    return sum(len(files) for _, _, files in os.walk(folder, onerror=unreadable.append)) + len(unreadable)
