"""Files: the cache folder, digests, locks, and atomic writes."""

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
"""Prefix of temporary files and folders, which are renamed when complete."""


def cache_folder() -> Path:
    """Return `$SG2BENCH_CACHE`, or the platform's cache folder of the user."""
    return with_home(os.environ.get("SG2BENCH_CACHE") or platformdirs.user_cache_dir("sg2bench"))


def offline() -> bool:
    """Return whether `$SG2BENCH_OFFLINE` forbids all downloads."""
    return os.environ.get("SG2BENCH_OFFLINE", "").lower() not in ("", "0", "false", "no")


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path to write to; it replaces `path` if the block succeeds, and is removed otherwise.

    A link stays a link, and its target is replaced; a device or pipe is written to directly. Raises OSError that names
    `path`.
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
            temporary.touch(exist_ok=False)  # applies the umask
            if target.is_file():
                temporary.chmod(stat.S_IMODE(target.stat().st_mode))
            yield temporary
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.replace(target)
    finally:
        with suppress(OSError):
            temporary.unlink()


def write_text(path: Path, text: str) -> None:
    """Write text as UTF-8, by `atomic_file`."""
    with atomic_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def copy(source: Path, target: Path) -> None:
    """Copy a file's content, whole or not at all. Raises OSError that names what cannot be read or written."""
    with source.open("rb") as content, atomic_file(target) as temporary, temporary.open("wb") as file:
        shutil.copyfileobj(content, file)


@contextmanager
def _errors_name(path: Path, written: Path) -> Iterator[None]:
    """Make an OSError about `written`, or without a file name, name `path`."""
    try:
        yield
    except OSError as error:
        if error.filename in (str(written), None):
            raise type(error)(error.errno, error.strerror or str(error), str(path)) from error
        raise


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a new folder to fill; it becomes `path` if the block succeeds, unless another process was faster."""
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
    """Exclude other processes from such a block for the same file. Raises ValueError if one holds the lock too long.

    The lock is a hidden file next to the file, and is removed at the end.
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
                    lock.unlink()  # while it is held: a waiting process creates a new one
    except Timeout:
        raise ValueError(f"{path}: another process is using it; wait for it, or stop it") from None


def remove_left_overs(folder: Path, prefix: str = TEMPORARY) -> None:
    """Remove temporary files and folders, left by killed processes, that are older than this call.

    The caller must hold the lock that processes hold while they have such files in the folder.
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
    """Write the current digests of a folder's files into `digests.json`, with some facts about them."""
    _write_digests(folder, {name: sha256(folder / name) for name in names}, facts)


def add_digest(folder: Path, name: str, **facts: str) -> None:
    """Add the current digest of one more file; those of other files are kept if the facts are the same."""
    digests = {name: sha256(folder / name)}
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        noted = json.loads((folder / DIGESTS).read_text(encoding="utf-8"))
        if facts.items() <= noted.items():
            digests = noted["sha256"] | digests
    _write_digests(folder, digests, facts)


def _write_digests(folder: Path, digests: dict[str, str], facts: dict[str, str]) -> None:
    write_text(folder / DIGESTS, json.dumps(facts | {"sha256": digests}, indent=1))


def is_intact(folder: Path, name: str, **facts: str) -> bool:
    """Return whether a file still has the digest in `digests.json`, and the facts there are the same."""
    try:
        noted = json.loads((folder / DIGESTS).read_text(encoding="utf-8"))
        return bool(facts.items() <= noted.items() and noted["sha256"][name] == sha256(folder / name))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def make_writable(folder: Path) -> None:
    """Create a folder and check, before long work, that files can be written to it. Raises OSError if not."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass
