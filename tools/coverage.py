"""Coverage of the metrics' intervals, by simulation on normal features."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sg2bench import texts
from sg2bench.catalog import METRICS
from sg2bench.evaluation.measures.base import Fake, FeatureMeasure, Real, measure
from sg2bench.evaluation.uncertainty import Estimate

Features = NDArray[np.float32]


class Coverage(NamedTuple):
    """Simulated coverage of a metric's intervals."""

    held: float
    """Share of intervals that contain the expectation."""
    width: float
    """Mean width of the intervals, over the ideal 3.92 standard deviations."""
    bias: float
    """Mean of the values minus the expectation, in standard deviations."""


def coverage(
    metric: str,
    make: Callable[[str, int], Estimate],
    expectation: float | None = None,
    repeats: int = 150,
) -> Coverage:
    """Compute the coverage of the estimates that `make` returns for the metric and each repeat.

    `expectation` defaults to the mean of the estimates.
    """
    estimates = [make(metric, repeat) for repeat in range(repeats)]
    values = [e.value for e in estimates]
    truth = float(np.mean(values)) if expectation is None else expectation
    held = np.mean([covered(e.interval(), truth) for e in estimates])
    width = np.mean([np.ptp(e.interval()) for e in estimates]) / (3.92 * np.std(values))
    return Coverage(float(held), float(width), float((np.mean(values) - truth) / np.std(values)))


def covered(interval: tuple[float, float], truth: float) -> bool:
    """Return whether an interval contains a value."""
    return bool(interval[0] <= truth <= interval[1])


def estimate(
    metric: str, real: Features, fake: Features, outputs: int = 1, references: NDArray[np.int64] | None = None
) -> Estimate:
    """Estimate one metric on features."""
    entry = METRICS[metric]
    measured = measure(entry.measure)
    assert issubclass(measured, FeatureMeasure)
    return measured.compare([entry.quantity], Real(real), Fake(fake, outputs, references))[entry.quantity]


def normals(n: int, d: int, seed: int | list[int], shift: float = 0.0, scale: float = 1.0) -> Features:
    """Draw independent normals (n, d)."""
    return (np.random.default_rng(seed).standard_normal((n, d)) * scale + shift).astype(np.float32)


def of_sources(
    sources: int, outputs: int, d: int, seed: int | list[int], shift: float = 0.0, scale: float = 1.0
) -> Features:
    """Draw normals (sources * outputs, d); those of a source have a correlation of 1/2."""
    rng = np.random.default_rng(seed)
    shared = np.repeat(rng.standard_normal((sources, d)), outputs, 0)
    return ((shared + rng.standard_normal((sources * outputs, d))) / np.sqrt(2) * scale + shift).astype(np.float32)


def of_normals(metric: str, repeat: int, d: int = 16) -> Estimate:
    """Estimate a metric on 400 real images and 5 outputs of 40 sources each, shifted by 0.25 and scaled by 1.3."""
    return estimate(metric, normals(400, d, [0, repeat]), of_sources(40, 5, d, [1, repeat], 0.25, 1.3), 5)


def known_distance(d: int) -> float:
    """Return the Fréchet distance between the two distributions of `of_normals`."""
    return d * 0.25**2 + d * 0.3**2


def table() -> str:
    """Return a Markdown table of the coverage of every metric's intervals."""
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
    return texts.markdown_table(("value", "of what", "intervals that contain it", "width ÷ ideal width"), lines)
