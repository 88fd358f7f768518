"""Measure the cost of executors for docs/performance.md: `nox -s coordination`, 12 minutes on two free cores.

Jobs that do nothing show the cost per job; CPU seconds are those of this process and all that it started, including
Ray's own processes. Two parallel runs of critters show how much of all time is spent in runs. Two bare processes show
what the machine itself loses: its cores share caches and memory.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import psutil
import ray

from sg2bench import devices, experiments, texts
from sg2bench.runs import plan
from sg2bench.runs.executor import Executor
from sg2bench.runs.local import Command, LocalExecutor, start, worker_command
from sg2bench.runs.ray import RayExecutor
from sg2bench.runs.status import Status
from tools.tables import write_table

REPEATS, JOBS = 3, 20
SHORT = {"train.steps": 120, "variants": {"full": {}}, "claims": []}
"""Settings for critters: runs of under a minute, half as long as the default study's."""
Executors = dict[str, Callable[[Path, int, Command], Executor]]
"""Executors by name, made from the folder of all runs, the number of parallel jobs, and the command that performs a
job.
"""
EXECUTORS: Executors = {
    "local": lambda _, workers, command: LocalExecutor(["cpu"] * workers, command),
    "ray": lambda runs, workers, command: RayExecutor(runs, "cpu", workers, command=command),
}
WAYS = ("bare", *EXECUTORS)


def nothing(folder: Path, device: str) -> list[str]:
    """Return the command of a job that does nothing."""
    return [sys.executable, "-I", "-S", "-c", ""]


class Meter:
    """Measures seconds and CPU seconds since its creation."""

    def __init__(self) -> None:
        self._began, self._cpu = time.perf_counter(), _cpu_seconds()

    def read(self) -> tuple[float, float]:
        return time.perf_counter() - self._began, _cpu_seconds() - self._cpu


def _cpu_seconds() -> float:
    """Return the CPU seconds of this process and its descendants, including those that have ended."""
    ours, seconds = psutil.Process(), 0.0
    for process in (ours, *ours.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):  # it has ended meanwhile
            seconds += sum(process.cpu_times()[:4])
    return seconds


def planned(count: int) -> tuple[Path, list[Status]]:
    """Plan this many runs in a new folder."""
    runs = Path(tempfile.mkdtemp())
    statuses = plan.plan(experiments.load("critters", SHORT | {"seeds": list(range(count))}), runs)
    plan.write(statuses)
    return runs, statuses


def bare(statuses: list[Status], workers: int, command: Command) -> None:
    """Perform runs without an executor, `workers` at the same time."""
    for place in range(0, len(statuses), workers):
        some = statuses[place : place + workers]
        processes = [start(command(status.job.folder, "cpu"), status.job.folder) for status in some]
        for status, process in zip(some, processes, strict=True):
            if process.wait():
                raise RuntimeError((status.job.folder / "run.log").read_text())


def perform(name: str, count: int, workers: int, command: Command) -> tuple[float, float]:
    """Return the seconds and CPU seconds per job; `name` is an executor, or `bare`."""
    runs, statuses = planned(count)
    meter = Meter()
    if name == "bare":
        bare(statuses, workers, command)
    else:
        for _ in EXECUTORS[name](runs, workers, command).perform(statuses):
            pass
        if failed := [status.failure for status in statuses if status.state != "done"]:
            raise RuntimeError(failed[0])
    seconds, cpu = meter.read()
    return seconds / count, cpu / count


def of_nothing(ways: Iterable[str]) -> dict[str, tuple[float, float]]:
    """Return, by way, the median seconds and CPU seconds of a job that does nothing, one at a time."""
    measured = [{way: perform(way, JOBS, 1, nothing) for way in ways} for _ in range(REPEATS)]
    return {way: _medians([each[way] for each in measured]) for way in measured[0]}


def of_runs() -> dict[str, float]:
    """Return, by way, the median rate of two parallel runs over twice that of a single bare one."""
    found: dict[str, list[float]] = {way: [] for way in WAYS}
    perform("bare", 1, 1, worker_command)  # caches the features of real images
    for _ in range(REPEATS):
        alone, _ = perform("bare", 1, 1, worker_command)
        for way, ratios in found.items():
            ratios.append(alone / (2 * perform(way, 2, 2, worker_command)[0]))
            print(way, ratios[-1], flush=True)
    return {way: statistics.median(ratios) for way, ratios in found.items()}


def _medians(pairs: list[tuple[float, float]]) -> tuple[float, float]:
    one, other = zip(*pairs, strict=True)
    return statistics.median(one), statistics.median(other)


def memory() -> tuple[float, float]:
    """Return the resident MiB of Ray's own processes, and of a task's process."""
    tasks, others = [], []
    for process in psutil.Process().children(recursive=True):
        try:
            title, used = process.cmdline()[0], process.memory_info().rss
        except psutil.NoSuchProcess:  # it has ended meanwhile
            continue
        is_task = title.startswith("ray::") and not title.endswith("Agent")
        (tasks if is_task else others).append(used / 2**20)
    return sum(others), statistics.mean(tasks)


def main() -> None:
    busy = psutil.cpu_percent(interval=5) > 10
    nothings = of_nothing(("bare", "local"))  # before Ray starts, whose processes would be counted, too
    meter = Meter()
    ray.init("local", num_cpus=2, object_store_memory=80 * 2**20, include_dashboard=False, log_to_driver=False)
    start_seconds, start_cpu = meter.read()
    nothings |= of_nothing(("ray",))
    ray_mib, task_mib = memory()
    runs = of_runs()
    ray.shutdown()
    lines = [
        ["seconds of a job that does nothing", *(f"{nothings[way][0]:.2f}" for way in WAYS)],
        ["… CPU seconds", *(f"{nothings[way][1]:.3f}" for way in WAYS)],
        ["rate of two parallel runs over twice that of one", *(f"{runs[way]:.2f}" for way in WAYS)],
    ]
    lines.append(["start of the executor, seconds (CPU seconds)", "–", "0", f"{start_seconds:.1f} ({start_cpu:.1f})"])
    lines.append(["memory of the executor, and of a task's process, MiB", "–", "0", f"{ray_mib:.0f} + {task_mib:.0f}"])
    table = texts.markdown_table(("", "bare processes", *EXECUTORS), lines)
    said = f"{devices.cores()} cores, Ray {ray.__version__}, medians of {REPEATS} repeats"
    if busy:
        said += "; other work kept the machine busy"
    write_table("performance.md", "coordination", f"{table}\n\n{said}.", "nox -s coordination")


if __name__ == "__main__":
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}
    main()
