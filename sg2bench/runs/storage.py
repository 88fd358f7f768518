"""Run folders in storage that fsspec reaches, as `s3://bucket/runs`: worked on in a local folder, and uploaded.

An object is replaced whole, and what follows from others comes after them: the log and the kept networks, then the
checkpoint, then results, their digests last. So an upload that was cut off costs the time since the one before it:
what has no fitting digest counts as not made, and an earlier checkpoint is kept until the next one is there.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sg2bench.files import TEMPORARY, cache_folder, locked
from sg2bench.layout import CHECKPOINT, DIGESTS, EARLIER_CHECKPOINT, LOCK, STEPS, with_home

_LARGE = {".pt", ".ckpt"}
_LATE = [f"{STEPS}/{DIGESTS}", CHECKPOINT, DIGESTS]
"""What is uploaded after all else, in this order."""


def is_url(runs: str | os.PathLike[str]) -> bool:
    """Whether this names storage rather than a folder."""
    return "://" in str(runs)


@contextmanager
def local_folder(runs: str | os.PathLike[str], experiment: str) -> Iterator[Path]:
    """The folder of all runs on this machine: of a URL, a copy in the cache with an experiment's runs as they are now.

    Networks and checkpoints are empty files in the copy. Raises ValueError if another process is using it, and OSError
    if the storage cannot be read and written.
    """
    if not is_url(runs):
        yield with_home(runs)
        return
    url = str(runs).rstrip("/")
    copy = cache_folder() / "runs" / quote(url, safe="")
    with locked(copy / experiment, seconds=0):
        shutil.rmtree(copy / experiment, ignore_errors=True)
        _refuse_read_only(f"{url}/{experiment}")
        download(f"{url}/{experiment}", copy / experiment, large=False)
        yield copy


def download(url: str, folder: Path, large: bool = True) -> None:
    """Bring a local folder up to date. Networks and checkpoints become empty files there unless `large`."""
    with _errors_name(url):
        files, root = _open(url)
        files.invalidate_cache()
        found = {path: folder / path.removeprefix(root).lstrip("/") for path in files.find(root)}
        for place in found.values():
            place.parent.mkdir(parents=True, exist_ok=True)
            if place.suffix in _LARGE and not large:
                place.touch()
        wanted = {path: str(place) for path, place in found.items() if large or place.suffix not in _LARGE}
        if wanted:
            files.get(list(wanted), list(wanted.values()))


class Upload:
    """A run's folder and where it is kept; only what has changed is uploaded."""

    def __init__(self, folder: Path, url: str) -> None:
        self._folder, self._url = folder, url
        self._sent = {name: _stamp(folder / name) for name in self._names()}

    @property
    def is_due(self) -> bool:
        """Whether there is a checkpoint or a result that was not uploaded."""
        return any(self._has_changed(name) for name in _LATE)

    def push(self) -> None:
        """Upload what has changed, as it is now. Raises OSError; the next call uploads what is left."""
        with _errors_name(self._url), tempfile.TemporaryDirectory(dir=self._folder, prefix=TEMPORARY) as held:
            files, root = _open(self._url)
            stamps = {}
            for name in chain(reversed(_LATE), self._names()):  # a checkpoint first: the log is never behind it
                if name not in stamps and self._has_changed(name):
                    stamps[name] = _stamp(self._folder / name)
                    Path(held, name).parent.mkdir(exist_ok=True)
                    os.link(self._folder / name, Path(held, name))
            for name in sorted(stamps, key=lambda name: _LATE.index(name) if name in _LATE else -1):
                if name == CHECKPOINT and files.exists(f"{root}/{CHECKPOINT}"):
                    files.mv(f"{root}/{CHECKPOINT}", f"{root}/{EARLIER_CHECKPOINT}")
                files.put_file(str(Path(held, name)), f"{root}/{name}")
                self._sent[name] = stamps[name]
            earlier = f"{root}/{EARLIER_CHECKPOINT}"
            if not (self._folder / EARLIER_CHECKPOINT).exists() and files.exists(earlier):
                files.rm_file(earlier)

    def _names(self) -> Iterator[str]:
        for path in self._folder.rglob("*"):
            name = path.relative_to(self._folder)
            ours = path.is_file() and not any(part.startswith(TEMPORARY) for part in name.parts)
            if ours and name.name not in (LOCK, EARLIER_CHECKPOINT):
                yield name.as_posix()

    def _has_changed(self, name: str) -> bool:
        return (self._folder / name).is_file() and _stamp(self._folder / name) != self._sent.get(name)


def _stamp(path: Path) -> tuple[int, int]:
    return (status := path.stat()).st_mtime_ns, status.st_size


def _refuse_read_only(url: str) -> None:
    """Write and remove an object, before hours of work."""
    with _errors_name(url):
        files, root = _open(url)
        files.pipe_file(f"{root}/{TEMPORARY}probe", b"")
        files.rm_file(f"{root}/{TEMPORARY}probe")


def _open(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the path in it."""
    import fsspec  # noqa: PLC0415 (of the extra `ray`)

    files, root = fsspec.core.url_to_fs(url)
    if hasattr(files, "auto_mkdir"):
        files.auto_mkdir = True
    return files, root.rstrip("/")


@contextmanager
def _errors_name(url: str) -> Iterator[None]:
    """Raise OSError that names the URL: each file system has errors of its kind."""
    try:
        yield
    except Exception as error:
        said = (str(error).splitlines() or [""])[0]
        raise OSError(f"{url}: {said or type(error).__name__}") from error
