"""How often the intervals of metrics hold the truth, by simulation on normal features."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sg2bench.catalog import METRICS
from sg2bench.evaluation.measures.base import Fake, FeatureMeasure, Real, measure
from sg2bench.evaluation.uncertainty import Estimate
from tools.tables import markdown

Features = NDArray[np.float32]


class Coverage(NamedTuple):
    """How a metric's intervals did in simulation."""

    held: float
    """Share of intervals that hold the expectation."""
    width: float
    """Mean width of the intervals, over the 3.92 standard deviations that would do."""
    bias: float
    """Mean of the values minus the expectation, in standard deviations."""


def coverage(
    metric: str,
    make: Callable[[str, int], Estimate],
    expectation: float | None = None,
    repeats: int = 150,
) -> Coverage:
    """Coverage of the estimates that `make` gives for the metric and each repeat.

    Without an `expectation`, their mean stands for it.
    """
    estimates = [make(metric, repeat) for repeat in range(repeats)]
    values = [e.value for e in estimates]
    truth = float(np.mean(values)) if expectation is None else expectation
    held = np.mean([covered(e.interval(), truth) for e in estimates])
    width = np.mean([np.ptp(e.interval()) for e in estimates]) / (3.92 * np.std(values))
    return Coverage(float(held), float(width), float((np.mean(values) - truth) / np.std(values)))


def covered(interval: tuple[float, float], truth: float) -> bool:
    """Whether an interval holds a value."""
    return bool(interval[0] <= truth <= interval[1])


def estimate(
    metric: str, real: Features, fake: Features, outputs: int = 1, references: NDArray[np.int64] | None = None
) -> Estimate:
    """One metric on features."""
    entry = METRICS[metric]
    measured = measure(entry.measure)
    assert issubclass(measured, FeatureMeasure)
    return measured.compare([entry.quantity], Real(real), Fake(fake, outputs, references))[entry.quantity]


def normals(n: int, d: int, seed: int | list[int], shift: float = 0.0, scale: float = 1.0) -> Features:
    """Independent normals (n, d)."""
    return (np.random.default_rng(seed).standard_normal((n, d)) * scale + shift).astype(np.float32)


def of_sources(
    sources: int, outputs: int, d: int, seed: int | list[int], shift: float = 0.0, scale: float = 1.0
) -> Features:
    """Normals (sources * outputs, d) of which those of a source have a correlation of 1/2."""
    rng = np.random.default_rng(seed)
    shared = np.repeat(rng.standard_normal((sources, d)), outputs, 0)
    return ((shared + rng.standard_normal((sources * outputs, d))) / np.sqrt(2) * scale + shift).astype(np.float32)


def of_normals(metric: str, repeat: int, d: int = 16) -> Estimate:
    """400 real images, 40 sources of 5 outputs, shifted by 0.25 and scaled by 1.3."""
    return estimate(metric, normals(400, d, [0, repeat]), of_sources(40, 5, d, [1, repeat], 0.25, 1.3), 5)


def known_distance(d: int) -> float:
    """Fréchet distance between the two distributions of `of_normals`."""
    return d * 0.25**2 + d * 0.3**2


def table() -> str:
    """Coverage of every metric's intervals, in Markdown."""
    lines = []
    for metric in ("fd_alexnet", "kd_alexnet", "precision", "recall", "density", "coverage"):
        repeats = 500 if metric[1] == "d" else 200
        found = coverage(metric, of_normals, repeats=repeats)
        held = f"{found.held:.1%} of {repeats}"
        lines.append((metric, "its expectation, 16 dimensions", held, f"{found.width:.2f}"))
    for d in (16, 128):
        found = coverage("fd_alexnet_inf", partial(of_normals, d=d), known_distance(d), 300)
        of_what = f"the known distance, {d} dimensions"
        lines.append(("fd_alexnet_inf", of_what, f"{found.held:.1%} of 300", f"{found.width:.2f}"))
    return markdown(("value", "of what", "intervals that hold it", "width, over 3.92 standard deviations"), lines)
