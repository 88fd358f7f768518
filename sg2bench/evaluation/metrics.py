"""The metrics on pooled features, by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sg2bench.evaluation import frechet, kernel, manifold
from sg2bench.evaluation.uncertainty import Estimate, Indices, extrapolate

Array = NDArray[np.float64]
REAL, FAKE, REFERENCE = "real", "fake", "reference"
_SHARES = manifold.Manifold._fields
_KERNEL = ("kd_alexnet", "kid")


@dataclass(frozen=True)
class Real:
    """A domain's training images: features (n, d) and their statistics."""

    features: NDArray[np.float32]
    statistics: frechet.Statistics


def needs_more(metrics: Sequence[str], real: int, sources: int, outputs: int, dim: int) -> str | None:
    """What the metrics, on features of `dim` dimensions, lack with so many real images and sources of so many outputs
    each; None if it is enough.
    """
    if min(real, sources) < 2:
        return f"2 real images and 2 sources of every domain, got {real} and {sources}"
    if any(metric.endswith("_inf") for metric in metrics) and (
        min(real, sources) < 8 or min(real, sources * outputs) < dim
    ):
        return (
            f"for extrapolation {dim} real images, {dim} outputs and 8 sources of every domain, got {real}, "
            f"{sources * outputs} and {sources}"
        )
    if set(metrics) & set(_SHARES) and not manifold.enough(real, sources, outputs):
        enough = next(number for number in range(2, 8) if manifold.enough(7, number, outputs))
        return f"for shares 7 real images and {enough} sources of every domain, got {real} and {sources}"
    return None


def measure(
    metrics: Sequence[str],
    real: Real,
    fake: NDArray[np.float32],
    outputs: int = 1,
    references: NDArray[np.int64] | None = None,
) -> dict[str, Estimate]:
    """Values of metrics on the features of one network, with influences by `REAL` image and `FAKE` source.

    `fake` (sources * outputs, d), the outputs of a source in a row. `references` (sources, outputs) tells which image
    each output took its style from: distances then have influences by `REFERENCE`, too. Raises ValueError if there are
    too few images.
    """
    values: dict[str, Estimate] = {}
    if set(metrics) & set(_SHARES):
        values |= _shares(real, fake, outputs)
    if set(metrics) & set(_KERNEL):
        values |= dict.fromkeys(_KERNEL, _of_units(*kernel.influences(real.features, fake), outputs, references))
    for metric in metrics:
        if metric not in values:
            found = frechet.influences(real.features, real.statistics, fake, frechet.statistics(fake))
            distance = replace(_of_units(*found, outputs, references), bounds=(0.0, np.inf))
            frechets = [other for other in metrics if other not in values]
            values |= dict.fromkeys(frechets, distance)
            if infinite := [other for other in frechets if other.endswith("_inf")]:
                values |= dict.fromkeys(infinite, _of_infinitely_many(distance, real, fake, outputs))
    return {metric: values[metric] for metric in metrics}


def _shares(real: Real, fake: NDArray[np.float32], outputs: int) -> dict[str, Estimate]:
    shares, each_real, each_fake = manifold.influences(real.features, fake, outputs)
    least = 3 / min(len(real.features), len(fake) // outputs)  # the rule of three
    return {
        name: Estimate(
            shares[index],
            {REAL: each_real[index], FAKE: each_fake[index]},
            least=least,
            bounds=(0.0, np.inf if name == "density" else 1.0),
        )
        for index, name in enumerate(_SHARES)
    }


def _of_infinitely_many(full: Estimate, real: Real, fake: NDArray[np.float32], outputs: int) -> Estimate:
    by_source = fake.reshape(-1, outputs, fake.shape[-1])

    def of_parts(some_real: Indices, sources: Indices) -> float:
        some_fake = by_source[sources].reshape(-1, fake.shape[-1])
        return frechet.distance(frechet.statistics(real.features[some_real]), frechet.statistics(some_fake))

    return extrapolate(full, of_parts, len(real.features), len(by_source))


def _of_units(
    value: float, each_real: Array, each_fake: Array, outputs: int, references: NDArray[np.int64] | None
) -> Estimate:
    influence = {REAL: each_real, FAKE: each_fake.reshape(-1, outputs).sum(1)}
    if references is not None and len(used := np.unique(references)) > 1:
        influence[REFERENCE] = np.bincount(np.searchsorted(used, references.ravel()), weights=each_fake)
    return Estimate(value, influence)
