"""Runs as processes of their own, as many at once as there are cores or GPUs."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from sg2bench.training.loop import LOG

RUN_LOG = "run.log"


@dataclass
class Run:
    """One variant and seed, its folder, and how far it is."""

    variant: str
    seed: int
    folder: Path
    steps: int
    state: Literal["waiting", "running", "done", "skipped", "failed"] = "waiting"
    started: float = 0.0
    seconds: float = 0.0
    started_at_step: int = 0
    step: int = 0

    @property
    def name(self) -> str:
        return f"{self.variant}/seed-{self.seed}"

    @property
    def rate(self) -> float:
        """Steps per second of this session; 0 before the first log line."""
        elapsed = (self.seconds or time.monotonic() - self.started) if self.started else 0
        return (self.step - self.started_at_step) / elapsed if elapsed else 0.0


def launch(
    runs: Sequence[Run], command: Callable[[Run], list[str]], slots: Sequence[str], watch: Callable[[], None]
) -> None:
    """Perform the waiting runs, as many at once as there are slots; `watch` is called twice a second meanwhile.

    A slot is a device: `cpu`, or `cuda:N`. A run that fails is marked so and takes no other down.
    """
    free: queue.SimpleQueue[str] = queue.SimpleQueue()
    for slot in slots:
        free.put(slot)
    stop = threading.Event()

    def perform_one(run: Run) -> None:
        slot = free.get()
        try:
            _run_process(run, [*command(run), "--device", slot], stop)
        finally:
            free.put(slot)

    with ThreadPoolExecutor(len(slots)) as pool:
        pending = [pool.submit(perform_one, run) for run in runs if run.state == "waiting"]
        try:
            while not all(future.done() for future in pending):
                _update(runs)
                watch()
                time.sleep(0.5)
        except BaseException:  # nobody watches any more: stop the runs, too
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    for future in pending:
        future.result()
    _update(runs)
    watch()


def _run_process(run: Run, command: Sequence[str], stop: threading.Event) -> None:
    if stop.is_set():
        return
    run.folder.mkdir(parents=True, exist_ok=True)
    run.started_at_step = run.step = _last_step(run.folder)
    run.state, run.started = "running", time.monotonic()
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    with (run.folder / RUN_LOG).open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)
        while process.poll() is None:
            if stop.wait(0.2):
                process.terminate()
                process.wait()
                run.state = "waiting"
                return
    run.seconds = time.monotonic() - run.started
    run.state = "done" if process.returncode == 0 else "failed"


def _update(runs: Sequence[Run]) -> None:
    for run in runs:
        if run.state in ("running", "done"):
            run.step = _last_step(run.folder)
            run.started_at_step = min(run.started_at_step, run.step)


def _last_step(folder: Path) -> int:
    """The step of the training log's last whole line, 0 without one."""
    try:
        lines = (folder / LOG).read_text(encoding="utf-8").rpartition("\n")[0].splitlines()
    except OSError:
        return 0
    return int(lines[-1].split(",")[0]) if len(lines) > 1 else 0


def slots(device: str, workers: int | None) -> list[str]:
    """Where runs go: each GPU, else each core; `workers` at most (on a GPU also more than one a device).

    Raises ValueError if a GPU is asked for and there is none.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu":
        return ["cpu"] * (workers or _cores())
    if not torch.cuda.is_available():
        raise ValueError(f"--device {device}: torch sees no CUDA device; use --device cpu")
    gpus = [f"cuda:{index}" for index in range(torch.cuda.device_count())] if device == "cuda" else [device]
    return [gpus[index % len(gpus)] for index in range(workers or len(gpus))]


def _cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_command(experiment_file: Path, overrides: Sequence[str], runs: Path) -> Callable[[Run], list[str]]:
    """The command that performs one run of an experiment in a process of its own."""

    def command(run: Run) -> list[str]:
        base = [sys.executable, "-m", "sg2bench", "run", str(experiment_file)]
        settings = [part for override in overrides for part in ("--set", override)]
        return [*base, "--variant", run.variant, "--seed", str(run.seed), "--runs", str(runs), *settings]

    return command
