"""Measure the cost of executors for docs/performance.md: `nox -s coordination`, 20 minutes on two free cores.

Jobs that do nothing show the cost per job. Two parallel runs of critters show how much of all CPU time is spent
in runs. CPU seconds are those of this process and all that it started, including Ray's own processes. The rate of two
parallel runs is measured only on an idle machine.
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


def bare(statuses: list[Status], command: Command) -> None:
    """Perform runs one after the other, without an executor."""
    for status in statuses:
        if start(command(status.job.folder, "cpu"), status.job.folder).wait():
            raise RuntimeError((status.job.folder / "run.log").read_text())


def perform(name: str, count: int, workers: int, command: Command) -> tuple[float, float]:
    """Return the seconds and CPU seconds per job; `name` is an executor, or `bare`."""
    runs, statuses = planned(count)
    meter = Meter()
    if name == "bare":
        bare(statuses, command)
    else:
        for _ in EXECUTORS[name](runs, workers, command).perform(statuses):
            pass
        if failed := [status.failure for status in statuses if status.state != "done"]:
            raise RuntimeError(failed[0])
    seconds, cpu = meter.read()
    return seconds / count, cpu / count


def of_nothing() -> dict[str, tuple[float, float]]:
    """Return, by way, the median seconds and CPU seconds of a job that does nothing, one at a time."""
    ways = ("bare", *EXECUTORS)
    measured = [{way: perform(way, JOBS, 1, nothing) for way in ways} for _ in range(REPEATS)]
    return {way: _medians([each[way] for each in measured]) for way in ways}


def of_runs() -> dict[str, tuple[float, float]]:
    """Return, by executor, two medians: the rate of two parallel runs over twice that of a bare one, and the CPU
    seconds of a bare run over those of a run under the executor.
    """
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in EXECUTORS}
    perform("bare", 1, 1, worker_command)  # caches the features of real images
    for _ in range(REPEATS):
        alone, cpu_alone = perform("bare", 1, 1, worker_command)
        for name, ratios in found.items():
            seconds, cpu = perform(name, 2, 2, worker_command)
            ratios.append((alone / (2 * seconds), cpu_alone / cpu))
            print(name, ratios[-1], flush=True)
    return {name: _medians(ratios) for name, ratios in found.items()}


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
    for label, index, form in (("seconds of a job that does nothing", 0, ".2f"), ("… CPU seconds", 1, ".3f")):
        lines.append([label, *(f"{nothings[way][index]:{form}}" for way in ("bare", *EXECUTORS))])
    lines.append(
        ["CPU seconds of a bare run over those under the executor", "1", *(f"{runs[way][1]:.2f}" for way in EXECUTORS)]
    )
    rates = ["not measured: busy" if busy else f"{runs[way][0]:.2f}" for way in EXECUTORS]
    lines.append(["rate of two parallel runs over twice that of one", "–", *rates])
    lines.append(["start of the executor, seconds (CPU seconds)", "–", "0", f"{start_seconds:.1f} ({start_cpu:.1f})"])
    lines.append(["memory of the executor, and of each run on top, MiB", "–", "0", f"{ray_mib:.0f} + {task_mib:.0f}"])
    table = markdown(("", "bare processes", *EXECUTORS), lines)
    said = f"{devices.cores()} cores, Ray {ray.__version__}, medians of {REPEATS} repeats"
    if busy:
        said += "; other work kept the machine busy, so seconds are too long and CPU ratios vary by a tenth"
    write_table("performance.md", "coordination", f"{table}\n\n{said}.", "nox -s coordination")


if __name__ == "__main__":
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"}
    main()
