"""Replacement of reports: completely or not at all, and only files of an earlier report."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sg2bench.files import locked, make_writable, remove_left_overs
from sg2bench.layout import (
    CLAIMS,
    CURVES,
    EFFECTS,
    EXPERIMENT,
    GRIDS,
    MADE_BY,
    PAGE,
    PICTURES,
    REPORT_FILES,
    RESULTS,
    SUMMARY,
    VARIANTS,
    grid_file,
)
from sg2bench.report import figures

NAMES = tuple(map(Path, (RESULTS, SUMMARY, CURVES, EXPERIMENT, CLAIMS, EFFECTS, VARIANTS, PAGE)))
"""The files of every report of `sg2bench ablate`, besides plots and grids."""
_INPUTS = tuple(map(Path, (RESULTS, CURVES, EXPERIMENT)))
_PAGES = tuple(map(Path, (SUMMARY, EFFECTS, VARIANTS, PAGE)))
_TEMPORARY = ".tmp-report-"
_MARK = "· sg2bench</title>"
"""Text in the head of our pages."""


@contextmanager
def whole(out: Path, in_place: bool, copied: Iterable[Path] = ()) -> Iterator[Path]:
    """Yield a folder for a new report. At the end, its files replace an earlier report in `out`.

    `copied` are paths in `out` of files that it will hold. Raises ValueError, before the report is written, if `out` is
    not writable or holds a file of somebody else in one of the report's places; and OSError that names a file of `out`.
    """
    try:
        make_writable(out)
    except OSError as error:
        raise ValueError(f"{out}: {error.strerror}") from None
    with locked(out / "report"):
        remove_left_overs(out, _TEMPORARY)
        if in_place:
            _refuse_links(out, [*_PAGES, Path(REPORT_FILES)])
        refuse_to_overwrite(out, [*_PAGES, *copied])
        with tempfile.TemporaryDirectory(dir=out, prefix=_TEMPORARY) as folder:
            try:
                yield Path(folder)
                _replace(Path(folder), out, in_place)
            except OSError as error:
                name = str(error.filename or out).replace(folder, str(out))
                raise type(error)(error.errno, error.strerror or str(error), name) from error


def refuse_to_overwrite(out: Path, places: Iterable[Path] = NAMES) -> None:
    """Raise ValueError if a file that no earlier report has written is in one of these places."""
    earlier = _earlier(out)
    for place in places:
        if place not in earlier and (out / place).exists():
            raise ValueError(
                f"{out / place}: would be overwritten, but is not from an earlier report; move it, or name another "
                "--out folder"
            )


def _earlier(out: Path) -> set[Path]:
    """Return the files of an earlier report: those that it lists, or, without a list, all that it may have written."""
    try:
        listed = (out / REPORT_FILES).read_text(encoding="utf-8").splitlines()
        places = (Path(line) for line in listed)
        return {place for place in places if place.parent in (Path(), Path(GRIDS)) and place.name not in ("", "..")}
    except (FileNotFoundError, NotADirectoryError):
        if _MARK not in _head(out / PAGE):
            return set()
    found = {*NAMES, *map(Path, figures.FILES)}
    if not _head(out / EXPERIMENT).startswith(MADE_BY):
        found.remove(Path(EXPERIMENT))
    grids = (out.glob(str(grid_file("*", picture))) for picture in PICTURES)
    return found | {grid.relative_to(out) for each in grids for grid in each}


def _head(path: Path) -> str:
    """Return a file's first characters; empty if it cannot be read."""
    if not path.is_file():
        return ""
    with suppress(OSError), path.open(encoding="utf-8", errors="replace") as file:
        return file.read(500)
    return ""


def _refuse_links(out: Path, places: Iterable[Path]) -> None:
    """Raise ValueError if one of these places is a link out of the folder, as a folder from others may have."""
    for place in places:
        if not (out / place).resolve().is_relative_to(out.resolve()):
            raise ValueError(
                f"{out / place}: is a link that leads out of {out}; remove it, or name another --out folder"
            )


def _replace(new: Path, out: Path, in_place: bool) -> None:
    """Move the files of a new report to their places, the page last, and remove files that only the earlier one had.

    In place, the inputs of the report stay.
    """
    places = sorted((file.relative_to(new) for file in new.rglob("*") if file.is_file()), key=lambda p: p == Path(PAGE))
    if in_place:
        _refuse_links(out, places)
    for place in places:
        with (new / place).open("rb") as file:
            os.fsync(file.fileno())
    refuse_to_overwrite(out, places)
    earlier = _earlier(out)
    kept = {place for place in earlier if in_place and (place in _INPUTS or place.parent == Path(GRIDS))}
    _list(new, out, earlier.union(places))  # first, so that all are listed if this process is killed now
    for place in earlier - kept - set(places):
        (out / place).unlink(missing_ok=True)
    for place in places:
        _move(new / place, out / place)
    _list(new, out, kept.union(places))


def _list(new: Path, out: Path, places: Iterable[Path]) -> None:
    """Write the list of a report's files atomically, via the folder of the new ones."""
    lines = sorted(place.as_posix() for place in places)
    (new / REPORT_FILES).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    _move(new / REPORT_FILES, out / REPORT_FILES)


def _move(file: Path, place: Path) -> None:
    target = Path(os.path.realpath(place))
    target.parent.mkdir(parents=True, exist_ok=True)
    file.replace(target)
