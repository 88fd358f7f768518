"""The folder of fetched and computed files, checked writes into it, and the two package clients that fill it."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import platformdirs


def folder() -> Path:
    """`$SG2BENCH_CACHE`, or the user's cache folder of the platform."""
    return Path(os.environ.get("SG2BENCH_CACHE") or platformdirs.user_cache_dir("sg2bench"))


def offline() -> bool:
    """Whether `$SG2BENCH_OFFLINE` forbids every download."""
    return os.environ.get("SG2BENCH_OFFLINE", "").lower() not in ("", "0", "false", "no")


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """A path to write to; it takes the place of `path` when the block ends well, and is removed otherwise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".tmp-", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """A new folder to fill; it becomes `path` when the block ends well, unless another process was first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=".tmp-"))
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


def pip_install(requirement: str, digest: str, target: Path) -> None:
    """Unpack one package of the Python index into `target`, its archive checked by SHA-256; it is not imported here.

    Raises ValueError with what pip said if that fails.
    """
    requirements = target / "requirements.txt"
    requirements.write_text(f"{requirement} --hash=sha256:{digest}\n")
    command = [sys.executable, "-m", "pip", "install", "--no-deps", "--require-hashes", "--no-input"]
    command += ["--retries", "1", "--timeout", "10"]
    _client([*command, "--disable-pip-version-check", "--target", str(target), "-r", str(requirements)], target)


def npm_pack(package: str, target: Path) -> None:
    """Download one package of the npm registry as a tarball into `target`. Raises ValueError if that fails."""
    npm = shutil.which("npm")
    if npm is None:
        raise ValueError("npm is not installed; install Node.js, or give the tarballs with --tarballs DIR")
    _client([npm, "pack", "--loglevel=error", package], target)


def _client(command: Sequence[str], target: Path) -> None:
    """Run a package client; its progress display goes to the terminal, its errors into the ValueError."""
    try:
        subprocess.run(command, cwd=target, check=True, stdout=sys.stderr, stderr=subprocess.PIPE, text=True)
    except subprocess.CalledProcessError as error:
        lines = [line for line in error.stderr.splitlines() if line.strip()] or ["no message"]
        cause = "no connection to the package index" if "onnection" in error.stderr else lines[-1]
        raise ValueError(f"{cause}, says `{' '.join([Path(command[0]).name, *command[1:4]])} …`") from None
