"""Run folders in storage that fsspec supports, such as `s3://bucket/runs`: local copies, and their upload.

Objects are replaced as a whole, in the order of their dependencies: the log and the kept networks, then the checkpoint,
then results, with digests last. So an interrupted upload costs only the time since the previous one: a file without a
matching digest counts as missing, and the earlier checkpoint is kept until the next one is complete.
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
"""Files that are uploaded after all others, in this order."""


def refuse_url(runs: str | os.PathLike[str]) -> None:
    """Raise ValueError if the folder of the runs is a URL."""
    if isinstance(runs, str) and is_url(runs):
        raise ValueError(f"--runs {runs}: a URL needs `ablate --executor ray`; give a folder")


def is_url(runs: str | os.PathLike[str]) -> bool:
    """Return whether this is a URL of storage, not a folder."""
    return "://" in str(runs)


@contextmanager
def local_folder(runs: str | os.PathLike[str], experiment: str) -> Iterator[Path]:
    """Yield the folder of all runs on this machine. For a URL, it is a copy in the cache with the current runs of an
    experiment.

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
    """Update a local folder from a URL. Networks and checkpoints become empty files unless `large`."""
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
    """The upload of a run's folder; only changed files are uploaded."""

    def __init__(self, folder: Path, url: str) -> None:
        self._folder, self._url = folder, url
        self._sent = {name: _stamp(folder / name) for name in self._names()}

    @property
    def is_due(self) -> bool:
        """Return whether a checkpoint or a result has not been uploaded."""
        return any(self._has_changed(name) for name in _LATE)

    def push(self) -> None:
        """Upload the current state of changed files. Raises OSError; the next call uploads the rest."""
        with _errors_name(self._url), tempfile.TemporaryDirectory(dir=self._folder, prefix=TEMPORARY) as held:
            files, root = _open(self._url)
            stamps = {}
            for name in chain(
                reversed(_LATE), self._names()
            ):  # link the checkpoint first, so that the log is never behind it
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
    """Raise OSError if an object cannot be written and removed, before hours of work."""
    with _errors_name(url):
        files, root = _open(url)
        files.pipe_file(f"{root}/{TEMPORARY}probe", b"")
        files.rm_file(f"{root}/{TEMPORARY}probe")


def _open(url: str) -> tuple[Any, str]:
    """Return the file system of a URL, and the path in it."""
    import fsspec  # noqa: PLC0415 (of the extra `ray`)

    files, root = fsspec.core.url_to_fs(url)
    if hasattr(files, "auto_mkdir"):
        files.auto_mkdir = True
    return files, root.rstrip("/")


@contextmanager
def _errors_name(url: str) -> Iterator[None]:
    """Turn the errors of any file system into OSError that names the URL."""
    try:
        yield
    except Exception as error:
        said = (str(error).splitlines() or [""])[0]
        raise OSError(f"{url}: {said or type(error).__name__}") from error
