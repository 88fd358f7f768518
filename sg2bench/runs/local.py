"""Jobs as local processes, in parallel on the cores or GPUs of this machine."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sg2bench.layout import RUN_LOG
from sg2bench.runs.job import is_written
from sg2bench.runs.status import Status

_POLL_SECONDS = 0.5
GRACE_SECONDS = 120
"""Time for a worker to finish its step and save before it is killed."""


Command = Callable[[Path, str], Sequence[str]]
"""Returns the command line of a process that performs the job in a folder on a device."""


def worker_command(folder: Path, device: str) -> Sequence[str]:
    """Return the command line of worker.py. `-P` keeps modules of the working folder out."""
    return [sys.executable, "-P", "-m", "sg2bench.runs.worker", str(folder), device]


class LocalExecutor:
    """Performs jobs in local processes; `devices` has an entry for each parallel job, such as `cpu` or `cuda:N`."""

    def __init__(self, devices: Sequence[str], command: Command = worker_command) -> None:
        self._devices, self._command = devices, command

    def perform(self, statuses: Sequence[Status]) -> Generator[None]:
        free: queue.SimpleQueue[str] = queue.SimpleQueue()
        for device in self._devices:
            free.put(device)
        stop = threading.Event()

        def perform_one(status: Status) -> None:
            device = free.get()
            try:
                self._perform_one(status, device, stop)
            except OSError as error:  # from this run's folder, or from starting a process
                status.reason = f"it could not be started: {error}"
                status.end(False)
            finally:
                free.put(device)

        with ThreadPoolExecutor(len(self._devices)) as pool:
            pending = [pool.submit(perform_one, status) for status in statuses if status.state == "waiting"]
            try:
                while not all(future.done() for future in pending):
                    for status in statuses:
                        if status.state == "running":
                            status.look()
                    yield
                    time.sleep(_POLL_SECONDS)
            except BaseException:  # the caller was stopped: stop the jobs, too
                stop.set()
                pool.shutdown(cancel_futures=True)
                raise
        for future in pending:
            future.result()
        yield

    def _perform_one(self, status: Status, device: str, stop: threading.Event) -> None:
        if stop.is_set():
            return
        status.start()
        process = start(self._command(status.job.folder, device), status.job.folder)
        while process.poll() is None:
            if stop.wait(0.2):
                end(process)
                status.state = "waiting"
                return
        succeeded = process.returncode == 0
        if succeeded and not is_written(status.job):
            status.reason = "another command changed its configuration while it waited; run the command again"
        status.end(succeeded and not status.reason)


def start(command: Sequence[str], folder: Path, head: str = "", cwd: Path | None = None) -> subprocess.Popen[bytes]:
    """Start a process with one thread; its output goes to the log in a run's folder, after the line `head`."""
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONIOENCODING": "utf-8",
    }
    with (folder / RUN_LOG).open("w", encoding="utf-8") as log:
        log.write(head)
        log.flush()
        return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment, cwd=cwd)


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask a worker to save and end; kill it if it does not."""
    process.terminate()
    try:
        process.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
