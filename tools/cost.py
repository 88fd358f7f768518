"""The cost model of docs/performance.md: points measured on this machine, and lines fitted to them.

The time of a training step depends on its floating-point operations, its memory on the batch's pixels. The time of an
evaluation depends on sources and outputs. `nox -s bench -- --costs`, a few minutes; also plots steps with many domains.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from unittest.mock import patch

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from scipy.optimize import nnls

from sg2bench import texts
from sg2bench.bench.counted import generator, training
from sg2bench.bench.throughput import log_axes
from sg2bench.data import sets
from sg2bench.evaluation.evaluator import Evaluator
from sg2bench.files import cache_folder
from sg2bench.models.networks import Networks
from tools import many_domains
from tools.counted import paper_gib
from tools.tables import ROOT, write_table
from tools.ways import EVALUATED, PAPER, experiment

STEPS = ((32, 2), (32, 8), (32, 32), (64, 2), (64, 8), (128, 2), (128, 4))
"""Side in pixels, batch size; widths 16 to 64."""
EVALUATIONS = ((3, 2), (3, 10), (6, 5), (12, 2), (12, 10))
"""Sources per domain, outputs per source; three domains."""
_STEP = """
import json, statistics, sys, time
import torch
from sg2bench.bench.machine import resident_mib
from tools.ways import experiment, training_ways

torch.set_num_threads(1)
way = training_ways(experiment(int(sys.argv[1]), int(sys.argv[2])))[0]["ours"]
before = resident_mib("VmRSS")
way()
seconds = []
while len(seconds) < 3:
    start = time.perf_counter()
    way()
    seconds.append(time.perf_counter() - start)
print(json.dumps({"seconds": statistics.median(seconds), "mib": resident_mib("VmHWM") - before}))
"""


def training_points() -> pd.DataFrame:
    """Measure time and memory of training steps, each in its own process."""
    lines = []
    for side, batch_size in STEPS:
        command = [sys.executable, "-c", _STEP, str(side), str(batch_size)]
        measured = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)
        gflop = training(experiment(side, batch_size)).flops / 1e9
        lines.append(
            {"side": side, "batch": batch_size, "gflop": gflop, "megapixels": batch_size * side**2 / 1e6} | measured
        )
    return pd.DataFrame(lines)


@torch.inference_mode()
def evaluation_points() -> pd.DataFrame:
    """Measure the time of evaluations."""
    torch.manual_seed(0)
    nets, found, lines = Networks(EVALUATED.model, 3).eval(), sets.load(EVALUATED.data, 64), []
    for sources, outputs in (EVALUATIONS[-1], *EVALUATIONS):  # the largest first: it fills the caches for all
        evaluate = EVALUATED.evaluate.model_copy(update={"sources": sources, "outputs_per_source": outputs})
        start = time.perf_counter()
        Evaluator(evaluate, found, 64).model(nets)
        seconds = time.perf_counter() - start
        lines.append({"sources": sources, "outputs": outputs, "images": 6 * sources * outputs, "seconds": seconds})
    return pd.DataFrame(lines[1:])


def fitted(x: pd.Series, y: pd.Series) -> tuple[float, float]:
    """Fit intercept and slope, both non-negative, by least squares of relative errors."""
    columns = np.stack([np.ones(len(x)), x], 1) / y.to_numpy()[:, None]
    fixed, slope = nnls(columns, np.ones(len(x)))[0]
    return float(fixed), float(slope)


def table(points: pd.DataFrame, shown: dict[str, str], x: str, ys: dict[str, str]) -> str:
    """Return a Markdown table of measured points and the fitted line's predictions."""
    heads = [*shown.values(), *(f"{label}: {kind}" for label in ys.values() for kind in ("measured", "fitted"))]
    lines = []
    lines_of = {y: fitted(points[x], points[y]) for y in ys}
    for row in points.to_dict("records"):
        cells = [f"{row[column]:.3g}" for column in shown]
        for y, (fixed, slope) in lines_of.items():
            cells += [f"{row[y]:.3g}", f"{fixed + slope * row[x]:.3g}"]
        lines.append(cells)
    said = [f"{label} = {lines_of[y][0]:.3g} + {lines_of[y][1]:.3g} × {shown[x]}" for y, label in ys.items()]
    return f"{texts.markdown_table(heads, lines)}\n\nFitted: {'; '.join(said)}."


def afhq() -> str:
    """Estimate the hours of 6 variants × 5 seeds at the paper's settings, for rates that a GPU may sustain."""
    flops, fakes, (_, of_one) = training(PAPER, 3).flops, 2 * 6 * 500 * 10, generator(PAPER.model, 3)
    said = (
        f"A step at the paper's settings (256 px, batch {PAPER.train.batch_size}, 3 domains) takes "
        f"{flops / 1e12:.2f} TFLOP, and {PAPER.train.steps:,} steps take {flops * PAPER.train.steps / 1e18:.2f} EFLOP. "
        f"Generating the {fakes:,} fakes of an evaluation (6 pairs, 500 sources, 10 outputs, both modes) takes "
        f"{fakes * of_one / 1e18:.4f} EFLOP more, without measuring them."
    )
    lines = []
    for rate in (5, 10, 20, 50, 100):
        hours = flops * PAPER.train.steps / (rate * 1e12) / 3600
        lines.append((str(rate), f"{hours:.1f}", f"{30 * hours:.0f}"))
    heads = ("sustained TFLOP/s", "hours per run", "hours for 6 variants × 5 seeds")
    return f"{said}\n\n{texts.markdown_table(heads, lines)}"


def memory() -> str:
    """Return a Markdown table of the memory of a step at the paper's settings, by way and precision."""
    lines = [(way, precision, f"{gib:.1f}") for (way, precision), gib in paper_gib().items()]
    return texts.markdown_table(("way", "precision", "GiB"), lines)


def plot(training: pd.DataFrame, evaluation: pd.DataFrame) -> Figure:
    figure = Figure(figsize=(12, 3.6), layout="constrained")
    panels = (
        (training, "gflop", "seconds", "GFLOP of a training step", "seconds"),
        (training, "megapixels", "mib", "megapixels of a batch", "a step's memory (MiB)"),
        (evaluation, "images", "seconds", "outputs of an evaluation", "seconds"),
    )
    for axis, (points, x, y, of, label) in zip(figure.subplots(1, 3), panels, strict=True):
        fixed, slope = fitted(points[x], points[y])
        along = np.geomspace(points[x].min(), points[x].max(), 50)
        axis.plot(along, fixed + slope * along, color="0.6", label="fitted")
        axis.plot(points[x], points[y], "o", label="measured")
        axis.set(xlabel=of, ylabel=label)
        log_axes(axis)
        axis.grid(alpha=0.3)
        axis.legend(frameon=False)
    return figure


def main() -> None:
    torch.set_num_threads(1)
    out = ROOT / "reports/performance"
    out.mkdir(exist_ok=True)
    many_domains.main(out)
    training = training_points()
    with (
        tempfile.TemporaryDirectory() as scratch,
        patch.dict(os.environ, {"SG2BENCH_WEIGHTS": str(cache_folder() / "weights"), "SG2BENCH_CACHE": scratch}),
    ):
        evaluation = evaluation_points()
    for name, points in (("training", training), ("evaluation", evaluation)):
        points.to_csv(out / f"cost_{name}.csv", index=False, float_format="%.4g")
    plot(training, evaluation).savefig(out / "cost.png", dpi=110, metadata={"Software": None})
    sizes = {"side": "px", "batch": "batch"}
    texts = (
        table(training, sizes | {"gflop": "GFLOP"}, "gflop", {"seconds": "seconds"}),
        table(training, sizes | {"megapixels": "megapixels"}, "megapixels", {"mib": "MiB"}),
        table(
            evaluation,
            {"sources": "sources per domain", "outputs": "outputs per source", "images": "outputs in total"},
            "images",
            {"seconds": "seconds"},
        ),
        memory(),
        afhq(),
    )
    for mark, text in zip(("time", "memory", "evaluation", "paper_memory", "afhq"), texts, strict=True):
        write_table("performance.md", mark, text, "nox -s bench -- --costs")


if __name__ == "__main__":
    main()
