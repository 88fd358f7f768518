"""Every file of an image set, decoded once: what is broken, and what the others hold."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, cast

from rich.console import Console
from rich.markup import escape
from rich.progress import track

from sg2bench import texts
from sg2bench.data.decode import broken, decode, read_bytes
from sg2bench.files import atomic_file, cache_folder
from sg2bench.hashes import stable_hash

_VERSION = 2
_SHOWN = 20


class Checked(NamedTuple):
    """A file that was decoded, and its image."""

    bytes: int
    date: int
    """Of its last change, in nanoseconds."""
    changed: int
    """The same, as the system noted it: `cp -p`, `rsync -t` and `tar` set the date, and cannot set this."""
    inode: int
    sha256: str
    width: int
    height: int
    largest: int
    """Of all 8-bit values of all channels."""
    span: int
    """From the smallest to the largest value, in the channel where that is most."""


_UNKNOWN = Checked(-2, -2, -2, -2, "", 0, 0, 0, 0)
Folders = Mapping[Path, Collection[str]]
"""Names of files by folder."""
Found = dict[Path, dict[str, Checked]]


def check(root: Path, folders: Folders) -> Found:
    """Decode files in folders below `root`, and again only if they change, by `_state`.

    Raises ValueError that names all that cannot be decoded, or the first twenty and their number.
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
    """Add files to what was found, and keep that for the next time; returns what is wrong with the others."""
    errors = {}
    text, console = escape(texts.one_line(f"Checking {len(files)} images of {root}")), Console(stderr=True)
    try:
        for folder, name in track(files, text, console=console, transient=True, disable=not console.is_terminal):
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
    """One error for all files below a folder that cannot be decoded."""
    if len(errors) == 1:
        ((file, why),) = errors.items()
        return broken(root / file, why)
    named = ", ".join(f"{file} ({why})" for file, why in [*errors.items()][:_SHOWN])
    more = f" and {len(errors) - _SHOWN} more" if len(errors) > _SHOWN else ""
    of = texts.one_line(f"{root}: {len(errors)} of {total} images are not readable: {named}{more}")
    return ValueError(f"{of}; mend or remove them")


def _state(path: Path) -> tuple[int, int, int, int]:
    """What differs after a file was written or replaced, also by one of the same size and date."""
    try:
        status = path.stat()
    except OSError:  # which reading it will name
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
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps({"files": files, "digest": stable_hash(files)}), encoding="ascii")


def _read(path: Path) -> dict[str, Checked]:
    """What `_write` wrote; nothing if the file is not there, or not as it was written."""
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
