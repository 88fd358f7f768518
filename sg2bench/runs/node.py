"""A cluster node's part in a job: start its worker, and keep its folder where all nodes find it.

This module needs neither torch nor any knowledge of the cluster.
"""

from __future__ import annotations

import hashlib
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from sg2bench.layout import CONFIG, DIGESTS
from sg2bench.runs import storage
from sg2bench.runs.local import Command, end, start
from sg2bench.runs.status import last_step
from sg2bench.version import __version__

NOT_SHARED = "--runs must be a folder that all nodes share, or a URL"
_NOTE_SECONDS = 2
Note = Callable[[str, int], bool]
"""Takes a run's name and step, and returns whether the run should stop."""


@dataclass(frozen=True)
class Task:
    """The part of a job that a node receives."""

    name: str
    place: str
    """The run's folder, which all nodes share, or its URL."""
    config: bytes
    """The content of that folder's CONFIG."""
    directory: str
    """The command's working folder, for relative paths in the configuration, if the node has it."""
    device: str
    version: str


@dataclass(frozen=True)
class Outcome:
    succeeded: bool
    node: str = ""
    reason: str = ""
    """Why it could not be started or stored; empty if its log says why."""
    digest: str = ""
    """SHA-256 of the run's DIGESTS, which the command must see before the run counts as done."""

    @property
    def explanation(self) -> str:
        return f"on node {self.node}: {self.reason}" if self.reason and self.node else self.reason


def perform_task(task: Task, command: Command, note: Note) -> Outcome:
    """Perform a job on this node; if it should stop, let the worker save."""
    node = socket.gethostname()
    try:
        if task.version != __version__:
            raise ValueError(f"sg2bench {__version__} is installed there, but the command runs {task.version}")
        with _folder(task) as (folder, upload):
            directory = Path(task.directory) if Path(task.directory).is_dir() else None
            process = start(command(folder, task.device), folder, f"on node {node}\n", directory)
            try:
                _watch(process, lambda: note(task.name, last_step(folder)), upload)
            finally:
                if process.poll() is None:
                    end(process)
                if upload is not None:
                    upload.push()
            return Outcome(process.returncode == 0, node, digest=digest_of(folder))
    except (ValueError, OSError, ImportError) as error:
        return Outcome(False, node, str(error))


@contextmanager
def _folder(task: Task) -> Iterator[tuple[Path, storage.Upload | None]]:
    """Yield the job's folder on this node: the shared one, or a copy of its URL with an upload."""
    if not storage.is_url(task.place):
        shared = Path(task.place)
        if not (shared / CONFIG).is_file() or (shared / CONFIG).read_bytes() != task.config:
            raise ValueError(f"{shared / CONFIG} is not what the command wrote; {NOT_SHARED}")
        yield shared, None
        return
    with TemporaryDirectory(prefix="sg2bench-run-", ignore_cleanup_errors=True) as copy:
        storage.download(task.place, Path(copy))
        upload = storage.Upload(Path(copy), task.place)
        Path(copy, CONFIG).write_bytes(task.config)
        yield Path(copy), upload


def _watch(process: subprocess.Popen[bytes], note: Callable[[], bool], upload: storage.Upload | None) -> None:
    """Note the worker's step, and upload each checkpoint, until it ends or should stop."""
    noted = 0.0
    while process.poll() is None:
        if time.monotonic() - noted > _NOTE_SECONDS:
            if note():
                return
            noted = time.monotonic()
            if upload is not None and upload.is_due:
                with suppress(OSError):  # the next upload may succeed; only the last one must
                    upload.push()
        time.sleep(0.2)


def digest_of(folder: Path) -> str:
    """Return the SHA-256 of a run's DIGESTS; empty if there are none."""
    with suppress(OSError):
        return hashlib.sha256((folder / DIGESTS).read_bytes()).hexdigest()
    return ""
