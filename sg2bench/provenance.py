"""Provenance of rows: commit, processor, time. Does not import torch."""

from __future__ import annotations

import datetime
import functools
import subprocess
from pathlib import Path


def now() -> str:
    """Return the current time in UTC, in the format of rows."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


@functools.cache
def processor() -> str:
    """Return the name of the processor."""
    from cpuinfo import get_cpu_info  # noqa: PLC0415 (takes a second)

    return str(get_cpu_info().get("brand_raw", "unknown"))


def git_commit() -> str:
    """Return the commit of this code, with `+` if tracked files differ from it; empty if installed without git."""
    here = Path(__file__)

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(here.parent), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", here.name)
        return git("rev-parse", "--short=12", "HEAD") + "+" * bool(git("status", "--porcelain", "-uno", "."))
    except (subprocess.CalledProcessError, OSError):
        return ""
