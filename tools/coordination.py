"""Measure the cost of executors for docs/performance.md: `nox -s coordination`, 20 minutes on two free cores.

Jobs that do nothing show the cost per job. Two parallel runs of critters show how much of all time is spent in runs;
two bare processes, what the machine itself loses, whose cores share caches and memory. CPU seconds are those of this
process and all that it started, including Ray's own processes.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import ray

from sg2bench import devices, experiments
from sg2bench.runs import plan
from sg2bench.runs.executor import Executor
from sg2bench.runs.local import Command, LocalExecutor, start, worker_command
from sg2bench.runs.ray import RayExecutor
from sg2bench.runs.status import Status
from tools.tables import markdown, write_table

REPEATS, JOBS = 3, 20
FULL = {"variants": {"full": {}}, "claims": []}
"""Settings for critters: runs of the default study, of a minute and a half."""
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
    ours = psutil.Process()
    return sum(sum(process.cpu_times()[:4]) for process in (ours, *ours.children(recursive=True)))


def planned(count: int) -> tuple[Path, list[Status]]:
    """Plan this many runs in a new folder."""
    runs = Path(tempfile.mkdtemp())
    statuses = plan.plan(experiments.load("critters", FULL | {"seeds": list(range(count))}), runs)
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


def of_nothing() -> dict[str, tuple[float, float]]:
    """Return, by way, the median seconds and CPU seconds of a job that does nothing, one at a time."""
    measured = [{way: perform(way, JOBS, 1, nothing) for way in WAYS} for _ in range(REPEATS)]
    return {way: _medians([each[way] for each in measured]) for way in WAYS}


def of_runs() -> dict[str, tuple[float, float]]:
    """Return, by way, two medians: the rate of two parallel runs over twice that of a single bare one, and the CPU
    seconds of the bare one over those of each of the two.
    """
    found: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
    perform("bare", 1, 1, worker_command)  # caches the features of real images
    for _ in range(REPEATS):
        alone, cpu_alone = perform("bare", 1, 1, worker_command)
        for way, ratios in found.items():
            seconds, cpu = perform(way, 2, 2, worker_command)
            ratios.append((alone / (2 * seconds), cpu_alone / cpu))
            print(way, ratios[-1], flush=True)
    return {way: _medians(ratios) for way, ratios in found.items()}


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
    meter = Meter()
    ray.init("local", num_cpus=2, object_store_memory=80 * 2**20, include_dashboard=False, log_to_driver=False)
    start_seconds, start_cpu = meter.read()
    nothings = of_nothing()
    ray_mib, task_mib = memory()
    runs = of_runs()
    ray.shutdown()
    lines = []
    for label, measured, index, form in (
        ("seconds of a job that does nothing", nothings, 0, ".2f"),
        ("… CPU seconds", nothings, 1, ".3f"),
        ("rate of two parallel runs over twice that of one", runs, 0, ".2f"),
        ("CPU seconds of a single run over those of each of two", runs, 1, ".2f"),
    ):
        lines.append([label, *(f"{measured[way][index]:{form}}" for way in WAYS)])
    lines.append(["start of the executor, seconds (CPU seconds)", "–", "0", f"{start_seconds:.1f} ({start_cpu:.1f})"])
    lines.append(["memory of the executor, and of each run on top, MiB", "–", "0", f"{ray_mib:.0f} + {task_mib:.0f}"])
    table = markdown(("", "bare processes", *EXECUTORS), lines)
    said = f"{devices.cores()} cores, Ray {ray.__version__}, medians of {REPEATS} repeats"
    if busy:
        said += "; other work kept the machine busy"
    write_table("performance.md", "coordination", f"{table}\n\n{said}.", "nox -s coordination")


if __name__ == "__main__":
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}
    main()
