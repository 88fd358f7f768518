"""Files: the cache's folder, digests, and writes that happen whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import platformdirs
from filelock import FileLock, Timeout

from sg2bench.layout import DIGESTS, with_home

TEMPORARY = ".tmp-"
"""Begins the names of files and folders that become others."""


def cache_folder() -> Path:
    """`$SG2BENCH_CACHE`, or the user's cache folder of the platform."""
    return with_home(os.environ.get("SG2BENCH_CACHE") or platformdirs.user_cache_dir("sg2bench"))


def offline() -> bool:
    """Whether `$SG2BENCH_OFFLINE` forbids every download."""
    return os.environ.get("SG2BENCH_OFFLINE", "").lower() not in ("", "0", "false", "no")


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """A path to write to; it takes the place of `path` when the block ends well, and is removed otherwise.

    A link stays a link, to the new content; a device or pipe is written to as it is. Raises OSError that names `path`.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        with _errors_name(path, path):
            yield path
        return
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f"{TEMPORARY}{secrets.token_hex(8)}{target.suffix}")
    try:
        with _errors_name(path, temporary):
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary.touch(exist_ok=False)  # with the permissions that the umask leaves
            if target.is_file():
                temporary.chmod(stat.S_IMODE(target.stat().st_mode))
            yield temporary
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.replace(target)
    finally:
        with suppress(OSError):
            temporary.unlink()


def copy(source: Path, target: Path) -> None:
    """Copy a file's content, whole or not at all. Raises OSError that names what cannot be read or written."""
    with source.open("rb") as content, atomic_file(target) as temporary, temporary.open("wb") as file:
        shutil.copyfileobj(content, file)


@contextmanager
def _errors_name(path: Path, written: Path) -> Iterator[None]:
    """Name `path` in an OSError about `written`, or about no file."""
    try:
        yield
    except OSError as error:
        if error.filename in (str(written), None):
            raise type(error)(error.errno, error.strerror or str(error), str(path)) from error
        raise


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """A new folder to fill; it becomes `path` when the block ends well, unless another process was first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=TEMPORARY))
    try:
        yield temporary
        temporary.chmod(0o755)
        try:
            temporary.rename(path)
        except OSError:
            if not path.is_dir():
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def locked(path: Path, seconds: float = 60) -> Iterator[None]:
    """No other process is in such a block for the same file meanwhile. Raises ValueError if one stays too long.

    The lock is a hidden file next to it, which is gone in the end.
    """
    target = Path(os.path.realpath(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    lock = target.with_name(f".{target.name}.lock")
    try:
        with FileLock(lock, timeout=seconds):
            try:
                yield
            finally:
                with suppress(OSError):  # Windows keeps open files
                    lock.unlink()  # while it is held: who waits for it makes another
    except Timeout:
        raise ValueError(f"{path}: another process is using it; wait for it, or stop it") from None


def remove_left_overs(folder: Path, prefix: str = TEMPORARY) -> None:
    """Remove from a folder what killed processes have not: temporary files and folders that are older than this call.

    The caller holds the lock that every process holds while it has such files there.
    """
    now, name = time.time(), re.compile(rf"{re.escape(prefix)}([0-9a-f]{{16}}(\..*)?|[a-z0-9_]{{8}})")
    for path in folder.glob(f"{prefix}*"):
        with suppress(OSError):
            if name.fullmatch(path.name) and path.lstat().st_mtime < now:
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink()


def write_digests(folder: Path, names: Iterable[str], **facts: str) -> None:
    """Write what a folder's files hold now into `digests.json`, with some facts about them."""
    _write_digests(folder, {name: sha256(folder / name) for name in names}, facts)


def add_digest(folder: Path, name: str, **facts: str) -> None:
    """Note what one more file of a folder holds now; what is noted of others stays if the facts are the same."""
    digests = {name: sha256(folder / name)}
    with suppress(OSError, ValueError, KeyError, TypeError):
        noted = json.loads((folder / DIGESTS).read_text(encoding="utf-8"))
        if facts.items() <= noted.items():
            digests = noted["sha256"] | digests
    _write_digests(folder, digests, facts)


def _write_digests(folder: Path, digests: dict[str, str], facts: dict[str, str]) -> None:
    with atomic_file(folder / DIGESTS) as temporary:
        temporary.write_text(json.dumps(facts | {"sha256": digests}, indent=1), encoding="utf-8")


def is_intact(folder: Path, name: str, **facts: str) -> bool:
    """Whether a file is what it was when `write_digests` noted it, with the same facts."""
    try:
        noted = json.loads((folder / DIGESTS).read_text(encoding="utf-8"))
        return bool(facts.items() <= noted.items() and noted["sha256"][name] == sha256(folder / name))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def make_writable(folder: Path) -> None:
    """Make a folder and see, before hours of work, that files can be written there. Raises OSError if not."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass
