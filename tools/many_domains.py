"""Time and memory of a training step with many domains; part of `nox -s bench -- --costs`."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from sg2bench.bench.throughput import log_axes
from tools.tables import ROOT

_DOMAINS = """
import json
import sys
import time
import torch
from sg2bench.bench.machine import resident_mib
from tools.ways import domains_step

torch.set_num_threads(1)
before = resident_mib("VmRSS")
step = domains_step(sys.argv[1], int(sys.argv[2]), 256)
step()
seconds = []
for _ in range(8):
    start = time.perf_counter()
    step()
    seconds.append(time.perf_counter() - start)
grown = resident_mib("VmHWM") - before
print(json.dumps({"ms": 1e3 * min(seconds), "mib": grown}))
"""


def domains_curve() -> pd.DataFrame:
    """Measure a step's time (the fastest of 8) in ms and its process's growth in MiB, by way and number of domains."""
    lines = []
    for way, number in itertools.product(("naive", "exact", "sparse"), (2, 20, 200, 1000)):
        command = [sys.executable, "-c", _DOMAINS, way, str(number)]
        answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        lines.append({"way": way, "domains": number} | json.loads(answer))
        print(lines[-1], flush=True)
    return pd.DataFrame(lines)


def domains_plot(table: pd.DataFrame, path: Path) -> None:
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    for axis, column, label in zip(
        figure.subplots(1, 2), ("ms", "mib"), ("a training step (ms)", "memory of networks and step (MiB)"), strict=True
    ):
        for way, lines in table.groupby("way", sort=False):
            axis.plot(lines["domains"], lines[column], marker="o", label=way)
        axis.set(xlabel="domains", ylabel=label)
        log_axes(axis)
        axis.grid(alpha=0.3)
        axis.legend(frameon=False)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def main(out: Path) -> None:
    curve = domains_curve()
    curve.to_csv(out / "many_domains.csv", index=False, float_format="%.4g")
    domains_plot(curve, out / "many_domains.png")
