"""Decode every file of an image set once: report broken files, and remember what the others hold."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, cast

from sg2bench import texts
from sg2bench.data.decode import broken, decode, read_bytes
from sg2bench.files import cache_folder, write_text
from sg2bench.hashes import stable_hash
from sg2bench.progress import track

_VERSION = 2
_SHOWN = 20


class Checked(NamedTuple):
    """Facts about a file that was decoded, and about its image."""

    bytes: int
    date: int
    """Modification time in nanoseconds."""
    changed: int
    """Change time (ctime) in nanoseconds: `cp -p`, `rsync -t` and `tar` can set the date, but not this."""
    inode: int
    sha256: str
    width: int
    height: int
    largest: int
    """Largest 8-bit value of any channel."""
    span: int
    """Difference between the largest and the smallest value, in the channel where it is largest."""


_UNKNOWN = Checked(-2, -2, -2, -2, "", 0, 0, 0, 0)
Folders = Mapping[Path, Collection[str]]
"""File names by folder."""
Found = dict[Path, dict[str, Checked]]


def check(root: Path, folders: Folders) -> Found:
    """Decode the files of folders below `root`; decode a file again only if its `_state` has changed.

    Raises ValueError that names the files that cannot be decoded: all of them, or the first twenty and their number.
    """
    found: Found = {}
    stale = []
    for folder, names in folders.items():
        kept, found[folder] = _read(_cache_file(root / folder)), dict.fromkeys(names, _UNKNOWN)
        for name in names:
            known = kept.get(name, _UNKNOWN)
            if known[:4] == _state(root / folder / name):
                found[folder][name] = known
            else:
                stale.append((folder, name))
    if stale and (errors := _look_at_all(root, stale, found)):
        raise all_broken(root, errors, sum(map(len, folders.values())))
    return found


def _look_at_all(root: Path, files: Sequence[tuple[Path, str]], found: Found) -> dict[Path, ValueError]:
    """Decode files, add them to `found` and update the cache; return the errors of those that cannot be decoded."""
    errors = {}
    try:
        for folder, name in track(files, f"Checking {len(files)} images of {root}"):
            try:
                found[folder][name] = _look_at(root / folder / name)
            except ValueError as error:
                errors[folder / name] = error
    finally:
        for folder in {folder for folder, _ in files}:
            known = {name: each for name, each in found[folder].items() if each is not _UNKNOWN}
            _write(_cache_file(root / folder), known)
    return errors


def all_broken(root: Path, errors: Mapping[Path, ValueError], total: int) -> ValueError:
    """Return one error for all files below a folder that cannot be decoded."""
    if len(errors) == 1:
        ((file, why),) = errors.items()
        return broken(root / file, why)
    named = ", ".join(f"{file} ({why})" for file, why in [*errors.items()][:_SHOWN])
    more = f" and {len(errors) - _SHOWN} more" if len(errors) > _SHOWN else ""
    of = texts.one_line(f"{root}: {len(errors)} of {total} images are not readable: {named}{more}")
    return ValueError(f"{of}; repair or remove them")


def _state(path: Path) -> tuple[int, int, int, int]:
    """Return what changes when a file is rewritten or replaced, even by one of the same size and date."""
    try:
        status = path.stat()
    except OSError:  # reading the file will report it
        return -1, -1, -1, -1
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino


def _look_at(path: Path) -> Checked:
    state, content = _state(path), read_bytes(path)
    image = decode(content)
    channels = cast(tuple[tuple[int, int], ...], image.getextrema())
    largest, span = max(high for _, high in channels), max(high - low for low, high in channels)
    return Checked(*state, hashlib.sha256(content).hexdigest(), image.width, image.height, largest, span)


def _cache_file(folder: Path) -> Path:
    return cache_folder() / "folders" / f"{stable_hash([_VERSION, str(folder.resolve())])}.json"


def _write(path: Path, files: Mapping[str, Checked]) -> None:
    write_text(path, json.dumps({"files": files, "digest": stable_hash(files)}))


def _read(path: Path) -> dict[str, Checked]:
    """Read what `_write` wrote; return nothing if the file is missing or damaged."""
    try:
        content = json.loads(path.read_text(encoding="ascii"))
        files = {name: Checked(*values) for name, values in content["files"].items()}
        intact = content["digest"] == stable_hash(files) and all(map(_is_sound, files.values()))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}
    return files if intact else {}


def _is_sound(file: Checked) -> bool:
    numbers: Iterable[object] = (*file[:4], file.width, file.height, file.largest, file.span)
    return all(type(n) is int for n in numbers) and re.fullmatch("[0-9a-f]{64}", file.sha256) is not None
