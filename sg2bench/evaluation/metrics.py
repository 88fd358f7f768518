"""The metrics on pooled features, by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sg2bench.evaluation import frechet, kernel, manifold
from sg2bench.evaluation.uncertainty import Estimate, Indices, extrapolate

Array = NDArray[np.float64]
REAL, FAKE = "real", "fake"


@dataclass(frozen=True)
class Real:
    """A domain's training images: features (n, d) and their statistics."""

    features: NDArray[np.float32]
    statistics: frechet.Statistics


def needs_more(metrics: Sequence[str], real: int, sources: int, outputs: int) -> str | None:
    """What the metrics lack with so many real images, and sources of so many outputs each; None if it is enough."""
    needed = 8 if any(metric.endswith("_inf") for metric in metrics) else 2
    if (fewest := min(real, sources)) < needed:
        return f"{needed} images of every domain, training and validation, got {fewest}"
    if set(metrics) & set(manifold.Manifold._fields) and not manifold.enough(real, sources, outputs):
        return f"7 images on each side, those of a source or two aside; got {real} real, {sources} × {outputs} fakes"
    return None


def measure(metrics: Sequence[str], real: Real, fake: NDArray[np.float32], outputs: int = 1) -> dict[str, Estimate]:
    """Values of metrics on the features of one network, with influences by `REAL` image and `FAKE` source.

    `fake` (sources * outputs, d), the outputs of a source in a row. Raises ValueError if there are too few images.
    """
    values: dict[str, Estimate] = {}
    if of_manifold := [metric for metric in metrics if metric in manifold.Manifold._fields]:
        shares, each_real, each_fake = manifold.influences(real.features, fake, outputs)
        for metric in of_manifold:
            index = manifold.Manifold._fields.index(metric)
            values[metric] = Estimate(shares[index], {REAL: each_real[index], FAKE: each_fake[index]})
    rest = [metric for metric in metrics if metric not in values]
    if any(metric.startswith("k") for metric in rest):
        kernel_distance = _of_units(*kernel.influences(real.features, fake), outputs)
    if any(metric.startswith("f") for metric in rest):
        frechet_distance = _frechet(real, fake, outputs)
    for metric in rest:
        if metric.startswith("k"):
            values[metric] = kernel_distance
        elif metric.endswith("_inf"):
            values[metric] = _frechet_of_infinitely_many(frechet_distance, real, fake, outputs)
        else:
            values[metric] = frechet_distance
    return {metric: values[metric] for metric in metrics}


def _frechet(real: Real, fake: NDArray[np.float32], outputs: int) -> Estimate:
    found = frechet.influences(real.features, real.statistics, fake, frechet.statistics(fake))
    return _of_units(*found, outputs)


def _frechet_of_infinitely_many(full: Estimate, real: Real, fake: NDArray[np.float32], outputs: int) -> Estimate:
    by_source = fake.reshape(-1, outputs, fake.shape[-1])

    def of_parts(some_real: Indices, sources: Indices) -> float:
        some_fake = by_source[sources].reshape(-1, fake.shape[-1])
        return frechet.distance(frechet.statistics(real.features[some_real]), frechet.statistics(some_fake))

    return extrapolate(full, of_parts, len(real.features), len(by_source))


def _of_units(value: float, each_real: Array, each_fake: Array, outputs: int) -> Estimate:
    return Estimate(value, {REAL: each_real, FAKE: each_fake.reshape(-1, outputs).sum(1)})
