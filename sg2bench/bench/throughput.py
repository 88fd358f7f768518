"""Generator throughput over batch size, precision, memory format and execution, timed by pytest-benchmark."""

from __future__ import annotations

import itertools
import json
import os
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from sg2bench import provenance, texts
from sg2bench.bench import machine
from sg2bench.config import Model
from sg2bench.files import atomic_file
from sg2bench.version import __version__

_BENCHMARK = Path(__file__).with_name("benchmark_generator.py")
EXECUTIONS = ("eager", "compile", "cuda_graph")
MEMORY_FORMATS = ("contiguous", "channels_last")


class Way(NamedTuple):
    """One way to run the generator."""

    device: str
    precision: str
    memory_format: str
    execution: str
    batch_size: int


def ways(
    devices: Sequence[str],
    precisions: Sequence[str],
    memory_formats: Sequence[str],
    executions: Sequence[str],
    batch_sizes: Sequence[int],
) -> list[Way]:
    """Return all combinations, the plain ones first. `precisions` default to those native to a device; CUDA graphs are
    for GPUs only.
    """
    return [
        Way(device, precision, memory_format, execution, batch_size)
        for device in devices
        for execution, memory_format in itertools.product(executions, memory_formats)
        for precision in precisions or machine.precisions(device)
        for batch_size in batch_sizes
        if execution != "cuda_graph" or device.startswith("cuda")
    ]


class _Parameters:
    """Pytest plugin that passes model and ways to the benchmark, and counts failures."""

    def __init__(self, model: Model, to_time: Sequence[Way], deadline: float) -> None:
        self.model, self.ways, self.deadline, self.failed = model, to_time, deadline, 0

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        metafunc.parametrize("model", [self.model], ids=[f"{self.model.image_size}px"])
        metafunc.parametrize("way", self.ways, ids=["-".join(map(str, way)) for way in self.ways])
        metafunc.parametrize("deadline", [self.deadline], ids=[""])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.failed += report.failed


def bench(
    model: Model, to_time: Sequence[Way], out: Path, max_seconds: float, minutes: float, earlier: Path | None = None
) -> pd.DataFrame:
    """Time one forward pass of a freshly initialised generator (given source and style) in each way `to_time`.

    Each way runs for about `max_seconds`, with at least 5 rounds after a warm-up. Ways not started within `minutes` are
    skipped; `attrs["skipped"]` counts them. Ways that fail, such as for lack of a compiler or memory, are left out with
    a warning. Writes `bench.csv`, pytest-benchmark's `bench.json` and `roofline.png` into `out`. Prints a comparison
    with an `earlier` bench.json. Raises ValueError if nothing was timed, or if `earlier` cannot be read.
    """
    known = _names(earlier) if earlier else set()
    out.mkdir(parents=True, exist_ok=True)
    temporary = out / "bench.json.part"
    arguments = [
        str(_BENCHMARK),
        f"-c{os.devnull}",
        f"--rootdir={out}",
        "-pno:cacheprovider",
        "-ppytest_benchmark.plugin",
        "-v",
        "--no-header",
        "--benchmark-only",
        f"--benchmark-json={temporary}",
        f"--benchmark-max-time={max_seconds}",
        "--benchmark-min-rounds=5",
        "--benchmark-columns=min,median,iqr,outliers,rounds",
        "--benchmark-sort=name",
        *([f"--benchmark-compare={earlier.resolve()}"] if earlier else []),
    ]
    parameters = _Parameters(model, to_time, time.monotonic() + 60 * minutes)
    try:
        with _isolated():
            pytest.main(arguments, plugins=[parameters])
        timings = json.loads(temporary.read_text())["benchmarks"] if temporary.is_file() else []
        if not timings:
            why = "all settings failed: see above" if parameters.failed else f"--minutes {minutes:g} is too short"
            raise ValueError(why)
        temporary.replace(out / "bench.json")
    finally:
        temporary.unlink(missing_ok=True)
    if parameters.failed:
        warnings.warn(f"{parameters.failed} of {len(to_time)} settings failed: see above", stacklevel=2)
    if earlier and known.isdisjoint(timing["name"] for timing in timings):
        warnings.warn(f"--compare {earlier}: has none of these settings", stacklevel=2)
    table = pd.DataFrame([_row(timing) for timing in timings])
    table.attrs["skipped"] = len(to_time) - len(table) - parameters.failed
    with atomic_file(out / "bench.csv") as file:
        table.to_csv(file, index=False, float_format="%.6g")
    with atomic_file(out / "roofline.png") as file:
        roofline(table).savefig(file, dpi=110, format="png", metadata={"Software": None})
    return table


@contextmanager
def _isolated() -> Iterator[None]:
    """Shield pytest from the user's settings and plugins."""
    before = {name: os.environ.pop(name) for name in [*os.environ] if name.startswith("PYTEST_")}
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    try:
        yield
    finally:
        del os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"]
        os.environ.update(before)


def _names(report: Path) -> set[str]:
    """Return the names of the settings in a bench.json."""
    try:
        return {timing["name"] for timing in json.loads(report.read_text(encoding="utf-8"))["benchmarks"]}
    except OSError:
        raise ValueError(f"--compare {report}: no such file; give the bench.json of an earlier benchmark") from None
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"--compare {report}: not a bench.json") from None


def _row(timing: dict[str, Any]) -> dict[str, object]:
    seconds, extra = np.array(timing["stats"]["data"]), timing["extra_info"]
    low, median, high = np.quantile(seconds, [0.25, 0.5, 0.75])
    batch_size = extra["batch_size"]
    return {
        "device": extra["device"],
        "threads": extra["threads"],
        "clock_mhz": extra["clock_mhz"],
        "image_size": extra["image_size"],
        "parameters": extra["parameters"],
        "precision": extra["precision"],
        "memory_format": extra["memory_format"],
        "execution": extra["execution"],
        "batch_size": batch_size,
        "images_per_second": batch_size / median,
        "ms_per_batch": median * 1e3,
        "ms_iqr": (high - low) * 1e3,
        **{f"ms_p{percent}": np.percentile(seconds, percent, method="higher") * 1e3 for percent in (90, 99)},
        "rounds": len(seconds),
        "outliers": timing["stats"]["outliers"],
        "peak_mib": extra["peak_mib"],
        "gflop_per_image": extra["flops"] / batch_size / 1e9,
        "gflop_per_second": extra["flops"] / median / 1e9,
        "flop_per_byte": extra["flops"] / extra["bytes"],
        "ceiling_gflop_per_second": extra["ceiling_flops_per_second"] / 1e9,
        "ceiling_gbyte_per_second": extra["ceiling_bytes_per_second"] / 1e9,
        "torch_version": torch.__version__,
        "sg2bench_version": __version__,
        "git_commit": provenance.git_commit(),
        "created_at": provenance.now(),
    }


def recommendation(table: pd.DataFrame) -> list[str]:
    """Recommend settings, in one sentence for throughput and one for latency."""
    best = table.iloc[table["images_per_second"].argmax()]
    quick = table.iloc[table["ms_per_batch"].argmin()]
    lines = table[table["device"] == best["device"]]
    default, alike = lines.iloc[0], lines[lines["batch_size"] == best["batch_size"]].iloc[0]
    gains = (best["images_per_second"] / plain["images_per_second"] for plain in (default, alike))
    return [
        f"Fastest here: {_named(best)}: {texts.rounded(best['images_per_second'], 4)} images/s, {next(gains):.1f}× "
        f"the default ({_named(default)}), {next(gains):.1f}× the same at that batch size.",
        f"Lowest latency: {_named(quick)}: {texts.rounded(quick['ms_per_batch'], 3)} ms "
        f"(90 % of {quick['rounds']} within {texts.rounded(quick['ms_p90'], 3)} ms).",
    ]


def _named(row: pd.Series[Any]) -> str:
    parts = (row["device"], f"batch {row['batch_size']}", row["precision"], row["memory_format"], row["execution"])
    return ", ".join(map(str, parts))


def roofline(table: pd.DataFrame) -> Figure:
    """Plot FLOP/s over FLOP per byte, with the measured limits of the device."""
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axis = figure.subplots()
    for (device, precision), lines in table.groupby(["device", "precision"], sort=False):
        flops, copied = lines["ceiling_gflop_per_second"].iloc[0], lines["ceiling_gbyte_per_second"].iloc[0]
        intensity = np.geomspace(min(lines["flop_per_byte"].min(), flops / copied) / 4, flops / copied * 8, 50)
        (line,) = axis.plot(intensity, np.minimum(flops, copied * intensity), label=f"{device}, {precision}: limit")
        for (execution, memory_format), some in lines.groupby(["execution", "memory_format"], sort=False):
            marker = {"eager": "o", "compile": "^", "cuda_graph": "s"}[str(execution)]
            filled = line.get_color() if memory_format == "contiguous" else "none"
            axis.scatter(
                some["flop_per_byte"],
                some["gflop_per_second"],
                10 + 6 * np.log2(some["batch_size"]),
                facecolors=filled,
                edgecolors=line.get_color(),
                marker=marker,
                label=f"{execution}, {memory_format} (larger: larger batch)",
            )
    axis.set(xlabel="FLOP per byte of inputs and outputs", ylabel="GFLOP/s")
    log_axes(axis)
    axis.grid(alpha=0.3)
    axis.legend(frameon=False, fontsize=8)
    return figure


def log_axes(axis: Axes) -> None:
    """Make both axes logarithmic, with plain numbers at 1, 2 and 5."""
    axis.set(xscale="log", yscale="log")
    for one in (axis.xaxis, axis.yaxis):
        one.set_major_locator(LogLocator(subs=(1, 2, 5)))
        one.set_major_formatter("{x:g}")
        one.set_minor_formatter(NullFormatter())
