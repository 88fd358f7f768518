"""Generator throughput over batch sizes, timed by pytest-benchmark, as CSV rows."""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

import sg2bench
from sg2bench import cache, results
from sg2bench.config import Model

_BENCHMARK = Path(__file__).with_name("generator_benchmark.py")


class _Parameters:
    """A pytest plugin that hands the benchmark its model, devices and batch sizes."""

    def __init__(self, model: Model, devices: Sequence[str], batch_sizes: Sequence[int]) -> None:
        self.model, self.devices, self.batch_sizes = model, devices, batch_sizes

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        metafunc.parametrize("model", [self.model], ids=[f"{self.model.image_size}px"])
        metafunc.parametrize("device", self.devices)
        metafunc.parametrize("batch_size", self.batch_sizes, ids=lambda size: f"batch-{size}")


def bench(
    model: Model, devices: Sequence[str], batch_sizes: Sequence[int], out: Path, max_seconds: float
) -> pd.DataFrame:
    """Time one forward pass of a freshly initialised generator (source and style given) on each device and batch size.

    Each is timed for about `max_seconds`, at least 5 rounds after a warm-up. Writes `bench.csv` and pytest-benchmark's
    `bench.json` into `out`. Raises ValueError if a timing failed.
    """
    out.mkdir(parents=True, exist_ok=True)
    arguments = [
        str(_BENCHMARK),
        f"-c{os.devnull}",
        f"--rootdir={out}",
        "-pno:cacheprovider",
        "--benchmark-only",
        f"--benchmark-json={out / 'bench.json'}",
        f"--benchmark-max-time={max_seconds}",
        "--benchmark-min-rounds=5",
        "--benchmark-columns=min,median,iqr,rounds",
        "--benchmark-sort=name",
    ]
    if pytest.main(arguments, plugins=[_Parameters(model, devices, batch_sizes)]) != 0:
        raise ValueError("the benchmark failed: its output is above")
    report = json.loads((out / "bench.json").read_text())
    table = pd.DataFrame([_row(timing) for timing in report["benchmarks"]])
    with cache.atomic_file(out / "bench.csv") as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g")
    return table


def _row(timing: dict[str, Any]) -> dict[str, object]:
    seconds, extra = timing["stats"], timing["extra_info"]
    return {
        "device": extra["device_name"],
        "threads": extra["threads"],
        "dtype": "float32",
        "image_size": extra["image_size"],
        "parameters": extra["parameters"],
        "batch_size": extra["batch_size"],
        "images_per_second": extra["batch_size"] / seconds["median"],
        "ms_per_batch": seconds["median"] * 1e3,
        "ms_iqr": seconds["iqr"] * 1e3,
        "rounds": seconds["rounds"],
        "torch_version": torch.__version__,
        "sg2bench_version": sg2bench.__version__,
        "git_commit": results.git_commit(),
        "created_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
