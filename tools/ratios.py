"""Measure sg2bench against the naive implementation (tools/naive.py), as ratios: `nox -s bench -- --ratios`.

Both ways run alternately, several times. A ratio is the median; `low` and `high` are the smallest and the largest.
Ratios of times are naive over ours (above 1: ours is faster), those of memory ours over naive. Other ratios:

* `train_step_compiled_…`: our eager step over our compiled one.
* `train_step_cpu_overhead`: the share of a step's time that does not grow with the batch.
* `ceiling_…`: a step's operations per second over those of a matrix product.
* `evaluation_floor_…`: the generator and one pass of features over an evaluation (1: no further saving is possible).
* `grid_efficiency`: the rate of one worker per core over that of one worker times the cores (1: nothing lost).
* `four_runs_on_one_gpu`: the total rate of four runs that share a GPU over that of a single run.
* `many_domains_…`: a step with 200 domains over one with 2.

Writes reports/performance/; with `--gpu`, the ratios on a GPU into reports/performance/gpu/.
"""

from __future__ import annotations

import itertools
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure

from sg2bench import devices, provenance, texts
from sg2bench.bench.machine import ceiling, clock_mhz
from sg2bench.config import Experiment, Model
from sg2bench.files import cache_folder
from sg2bench.layout import LOG, run_folder
from tools import tables
from tools.counted import training
from tools.tables import ROOT
from tools.ways import (
    PAPER,
    assert_alike,
    domains_step,
    evaluation_ways,
    experiment,
    frechet_ways,
    lpips_ways,
    training_ways,
)

REPEATS = 5
CORES = os.cpu_count() or 1
PAPER_WIDTHS = Experiment(
    name="widths", data={"train_per_domain": 8, "val_per_domain": 2}, model={"image_size": 64}, train={"batch_size": 2}
)
"""64 px with the paper's widths, 256 and 512."""
COMMAND = "nox -s bench -- --ratios"
_MEMORY = """
import sys
import torch
from sg2bench.bench.machine import resident_mib
from tools.ways import PAPER, experiment, training_ways

torch.set_num_threads(1)
way, device = sys.argv[1:]
on_gpu = device == "cuda"
ways, _ = training_ways(PAPER, "cuda", precision="bf16") if on_gpu else training_ways(experiment(64))
step = ways[way]
before = torch.cuda.memory_allocated() / 2**20 if on_gpu else resident_mib("VmRSS")
step()
step()
print((torch.cuda.max_memory_allocated() / 2**20 if on_gpu else resident_mib("VmHWM")) - before)
"""


def in_turn(naive_way: Callable[[], object], ours: Callable[[], object]) -> list[float]:
    """Return ratios of the naive way's time over ours, after one warm-up call of each."""
    naive_way(), ours()
    _wait()
    ratios = []
    for _ in range(REPEATS):
        seconds = []
        for way in (naive_way, ours):
            start = time.perf_counter()
            way()
            _wait()
            seconds.append(time.perf_counter() - start)
        ratios.append(seconds[0] / seconds[1])
    return ratios


def _wait() -> None:
    """Wait for the GPU, if there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def train_step(settings: Experiment, device: str = "cpu", **train: object) -> list[float]:
    """Compare training steps, after asserting that both ways agree, unless ours has another precision."""
    if "precision" not in train:
        assert_alike(settings, device)
    steps, _ = training_ways(settings, device, **train)
    return in_turn(steps["naive"], steps["ours"])


def compiled_step(settings: Experiment) -> list[float]:
    """Return ratios of our eager training step's time over the compiled one's; print the time of compilation."""
    (eager, _), (compiled, (state, _)) = training_ways(settings), training_ways(settings, compile=True)
    ratios = in_turn(eager["ours"], compiled["ours"])
    print(f"compiled in {state.compiled.seconds:.0f} s", flush=True)
    return ratios


def overhead() -> list[float]:
    """Return the share of a step's time (32 px, batch 8) that does not grow with the batch, from batches of 2 and 8."""
    small, large = (training_ways(experiment(32, size))[0]["ours"] for size in (2, 8))
    return [(4 * ratio - 1) / 3 for ratio in in_turn(small, large)]


def share_of_ceiling(image_size: int, batch_size: int) -> list[float]:
    """Return the operations per second of a training step over those of a matrix product, measured alternately."""
    settings, side = experiment(image_size, batch_size), 1024
    flops, (a, b) = training(settings).flops, torch.randn(2, side, side)
    products = max(1, round(flops / (2 * side**3)))
    steps, _ = training_ways(settings)
    ratios = in_turn(lambda: [a @ b for _ in range(products)], steps["ours"])
    return [ratio * flops / (products * 2 * side**3) for ratio in ratios]


def train_memory(device: str) -> list[float]:
    """Return the memory growth of two steps of ours over the naive way's: of the process, or allocated on a GPU."""

    def grown(way: str) -> float:
        command = [sys.executable, "-c", _MEMORY, way, device]
        return float(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)

    with ThreadPoolExecutor(2) as both:
        return [ours / plain for ours, plain in (both.map(grown, ("ours", "naive")) for _ in range(REPEATS))]


@torch.inference_mode()
def metric(ways: dict[str, Callable[[], object]]) -> list[float]:
    """Compare a computation without gradients."""
    return in_turn(ways["naive"], ways["ours"])


def evaluation(model: Model, device: str = "cpu", other: str = "naive") -> list[float]:
    """Return ratios of another way's time for a whole evaluation over ours, with nothing cached but the weights."""
    with tempfile.TemporaryDirectory() as scratch, pytest.MonkeyPatch.context() as patch:
        for name, folder in (("CACHE", cache_folder()), ("WEIGHTS", cache_folder() / "weights")):
            patch.setenv(f"SG2BENCH_{name}", str(folder))  # both are restored at the end
        ways = evaluation_ways(Path(scratch), model, device)
        return metric({"naive": ways[other], "ours": ways["ours"]})


def domains_ratio() -> list[float]:
    """Compare a step with 200 domains to one with 2, with `sparse_heads` and the paper's mapping network."""
    return in_turn(domains_step("sparse", 200, 512), domains_step("sparse", 2, 512))


def run_command(runs: Path, steps: int, device: str = "cpu") -> list[str]:
    """Return the command of a short run of critters."""
    settings = ["--set", f"train.steps={steps}", "--set", "train.log_every=1", "--set", "evaluate.sources=4"]
    which = ["--variant", "full", "--seed", "0", "--device", device, "--runs", str(runs)]
    return [sys.executable, "-m", "sg2bench", "run", "experiments/critters.yaml", *which, *settings]


def together(processes: int, steps: int, device: str) -> list[float]:
    """Return the total rate of several runs at once over the rate of a single one, including the start of processes."""
    with tempfile.TemporaryDirectory() as scratch, ThreadPoolExecutor(processes) as workers:
        folders = (Path(scratch, str(number)) for number in itertools.count())

        def rate(runs: Path) -> float:
            start = time.perf_counter()
            subprocess.run(run_command(runs, steps, device), cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
            return 1 / (time.perf_counter() - start)

        rate(next(folders))
        ratios = []
        for _ in range(REPEATS):
            alone = rate(next(folders))
            ratios.append(sum(workers.map(rate, [next(folders) for _ in range(processes)])) / alone)
        return ratios


def seconds_to_first_step() -> list[float]:
    """Measure the seconds from a run's start to the first line of its training log."""
    taken = []
    for _ in range(REPEATS):
        with tempfile.TemporaryDirectory() as scratch:
            log, start = run_folder(Path(scratch), "critters", "full", 0) / LOG, time.perf_counter()
            process = subprocess.Popen(run_command(Path(scratch), 2), cwd=ROOT, stdout=subprocess.DEVNULL)
            while not (log.is_file() and len(log.read_text().splitlines()) > 1):
                assert process.poll() is None
                time.sleep(0.02)
            taken.append(round(time.perf_counter() - start, 2))
            process.kill()
            process.wait()
    return sorted(taken)


MEASURED: dict[str, Callable[[], list[float]]] = {
    "train_step_cpu": lambda: train_step(experiment(64)),
    "train_step_cpu_32px": lambda: train_step(experiment(32)),
    "train_step_cpu_paper_widths": lambda: train_step(PAPER_WIDTHS),
    "train_step_cpu_overhead": overhead,
    "train_step_compiled_32px": lambda: compiled_step(experiment(32)),
    "train_step_compiled_64px": lambda: compiled_step(experiment(64)),
    "ceiling_32px": lambda: share_of_ceiling(32, 8),
    "ceiling_64px": lambda: share_of_ceiling(64, 8),
    "ceiling_128px": lambda: share_of_ceiling(128, 4),
    "train_memory_cpu": lambda: train_memory("cpu"),
    "lpips": lambda: metric(lpips_ways()),
    "frechet": lambda: metric(frechet_ways(1000)),
    "evaluation_cpu": lambda: evaluation(experiment(64).model),
    "evaluation_cpu_32px": lambda: evaluation(experiment(32).model),
    "evaluation_floor_cpu": lambda: evaluation(experiment(64).model, other="floor"),
    "evaluation_floor_cpu_32px": lambda: evaluation(experiment(32).model, other="floor"),
    "many_domains_k200_over_k2": domains_ratio,
    "grid_efficiency": lambda: [gain / CORES for gain in together(CORES, 20, "cpu")],
}
ON_GPU: dict[str, Callable[[], list[float]]] = {
    "train_memory_gpu": lambda: train_memory("cuda"),
    "train_step_gpu": lambda: train_step(PAPER, "cuda", precision="bf16", compile=True),
    "train_step_gpu_float32": lambda: train_step(PAPER, "cuda"),
    "evaluation_gpu": lambda: evaluation(PAPER.model, "cuda"),
    "four_runs_on_one_gpu": lambda: together(4, 1000, "cuda"),
}
"""The paper's size, but `four_runs_on_one_gpu` (critters). Naive is in float32, our `train_memory_gpu` in bf16."""


def rows(measured: dict[str, Callable[[], list[float]]], device: str) -> Iterator[dict[str, object]]:
    """Yield a line for each ratio as soon as it is measured."""
    name_of_device = devices.full_name(torch.device(device))
    for name, measure in measured.items():
        with devices.true_float32():
            ratios = measure()
        torch.cuda.empty_cache()
        print(f"{name}: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})", flush=True)
        yield {
            "name": name,
            "ratio": statistics.median(ratios),
            "low": min(ratios),
            "high": max(ratios),
            "repeats": len(ratios),
            "device": f"{name_of_device}, {os.cpu_count()} cores, torch {torch.__version__}",
            "command": COMMAND if device == "cpu" else "nox -s gpu",
        }


def ratios_plot(table: pd.DataFrame, path: Path) -> None:
    figure = Figure(figsize=(7, 0.4 * len(table) + 1), layout="constrained")
    axis = figure.subplots()
    for row in table.to_dict("records"):
        axis.plot([row["low"], row["high"]], [row["name"]] * 2, color="0.6")
        axis.plot(row["ratio"], row["name"], "o", color="C0")
    axis.axvline(1, color="0.3", linewidth=1)
    axis.set(xscale="log", xlabel="ratio (median and range)")
    axis.xaxis.set_major_formatter("{x:g}")
    axis.invert_yaxis()
    axis.grid(alpha=0.3)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def markdown(table: pd.DataFrame) -> str:
    lines = [
        (row["name"], f"{row['ratio']:.2f}", f"{row['low']:.2f} to {row['high']:.2f}", str(row["repeats"]))
        for row in table.to_dict("records")
    ]
    return texts.markdown_table(("name", "ratio", "range over repeats", "repeats"), lines)


def machine() -> dict[str, object]:
    """Describe the machine of the measurements, and measure a run's time to its first step."""
    return {
        "processor": provenance.processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "clock_mhz": clock_mhz("cpu"),
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "threads": 1,
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "sg2bench_commit": provenance.git_commit(),
        **{f"ceiling_{name}": value for name, value in ceiling("cpu", "float32")._asdict().items()},
        "seconds_to_first_step": seconds_to_first_step(),
    }


def measure_ratios(measured: dict[str, Callable[[], list[float]]], device: str, out: Path) -> pd.DataFrame:
    """Write machine, ratios (one by one) and their plot into a folder; return the ratios."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "machine.json").write_text(json.dumps(machine(), indent=1) + "\n")
    lines = []
    for row in rows(measured, device):
        lines.append(row)
        table = pd.DataFrame(lines)
        table.to_csv(out / "ratios.csv", index=False, float_format="%.3f")
    ratios_plot(table, out / "ratios.png")
    return table


def main() -> None:
    torch.set_num_threads(1)
    out = ROOT / "reports/performance"
    if sys.argv[1:] == ["--gpu"]:
        measure_ratios(ON_GPU, "cuda", out / "gpu")
        return
    table = measure_ratios(MEASURED, "cpu", out)
    tables.write_table("performance.md", "ratios", markdown(table), COMMAND)


if __name__ == "__main__":
    main()
