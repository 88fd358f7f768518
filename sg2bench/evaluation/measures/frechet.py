"""The Fréchet distance between two sets of features, in float64, without a matrix square root.

`|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))` (Dowson and Landau 1982; Heusel et al. 2017, section 4). A QR
decomposition of the centred features gives factors `C1 = F1' F1` and `C2 = F2' F2`. Then the trace of the square root
is the sum of the singular values of `F1 F2'`, which is real and not negative even if the covariances are singular. With
fewer images than features, a matrix square root is noisy; this value is exact.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from sg2bench.evaluation.measures.base import Fake, FeatureMeasure, Real, of_units
from sg2bench.evaluation.uncertainty import Array, Estimate, Indices, extrapolate

_NOISE = 1e-10
"""Singular values below this share of the largest are rounding errors."""


@dataclass(frozen=True)
class Statistics:
    """Statistics of `count` features: mean (d,), and a factor (min(count, d), d) of the covariance `factor' factor`.

    The covariance is the unbiased one, divided by count - 1.
    """

    mean: Array
    factor: Array
    count: int

    @property
    def trace(self) -> float:
        """Trace of the covariance: the sum of the variances."""
        return float(np.square(self.factor).sum())


def statistics(features: NDArray[np.floating]) -> Statistics:
    """Compute statistics of features (n, d). Raises ValueError if there are fewer than 2 or one is not finite."""
    features = np.asarray(features, np.float64)
    if len(features) < 2:
        raise ValueError(f"a Fréchet distance needs at least 2 images on each side, got {len(features)}")
    if not np.isfinite(features).all():
        raise ValueError("features hold NaN or infinity: an image or the network produced them")
    mean = features.mean(0)
    centred = (features - mean) / np.sqrt(len(features) - 1)
    factor: Array = centred if len(centred) <= len(mean) else np.asarray(np.linalg.qr(centred, mode="r"))
    return Statistics(mean, factor, len(features))


def distance(real: Statistics, fake: Statistics) -> float:
    """Return the (squared) Fréchet distance, >= 0. Raises ValueError if the features' dimensions differ."""
    return _distance(real, fake, np.linalg.svd(_product(real, fake), compute_uv=False))


def influences(
    real_features: NDArray[np.floating], real: Statistics, fake_features: NDArray[np.floating], fake: Statistics
) -> tuple[float, Array, Array]:
    """Return the distance, and the influence of each real image (n,) and of each fake (m,) on it: see uncertainty.py.

    The influence of an image `x` is `|x - m|^2 - (x - m)' T (x - m) + 2 (x - m)·(m - m')`, centred and divided by the
    number of images. T is the linear map of optimal transport to the other side and m' the other side's mean (Rippl,
    Munk and Sturm 2016, theorem 2.1). Raises ValueError like `distance`.
    """
    left, overlap, right = np.linalg.svd(_product(real, fake), full_matrices=False)
    kept = overlap > _NOISE * overlap[0] if len(overlap) else overlap > 0
    scale = np.sqrt(overlap[kept])
    to_fake, to_real = right[kept] @ fake.factor, left[:, kept].T @ real.factor
    real_each = _influence(real_features, real.mean, real.mean - fake.mean, to_fake / scale[:, None])
    fake_each = _influence(fake_features, fake.mean, fake.mean - real.mean, to_real / scale[:, None])
    return _distance(real, fake, overlap), real_each, fake_each


def _product(real: Statistics, fake: Statistics) -> Array:
    if len(fake.mean) != len(real.mean):
        raise ValueError(f"features of fakes have {len(fake.mean)} dimensions, those of real images {len(real.mean)}")
    return real.factor @ fake.factor.T


def _distance(real: Statistics, fake: Statistics, overlap: NDArray[np.floating]) -> float:
    between = np.square(real.mean - fake.mean).sum()
    return float(max(0.0, between + real.trace + fake.trace - 2 * overlap.sum()))


def _influence(features: NDArray[np.floating], mean: Array, shift: Array, transport: Array) -> Array:
    """Return one side's influences; `transport` (r, d) is a factor of the transport map, `transport' transport`."""
    centred = features - mean
    each = np.square(centred).sum(1) - np.square(centred @ transport.T).sum(1) + 2 * centred @ shift
    influence: Array = (each - each.mean()) / len(each)
    return influence


class Measure(FeatureMeasure):
    """`distance`, and the distance `extrapolated` to infinitely many images."""

    @classmethod
    def compare(cls, quantities: Collection[str], real: Real, fake: Fake) -> dict[str, Estimate]:
        found = influences(real.features, _of_real(real), fake.features, statistics(fake.features))
        full = replace(of_units(*found, fake), bounds=(0.0, np.inf))
        estimates = {"distance": full}
        if "extrapolated" in quantities:
            estimates["extrapolated"] = _extrapolated(full, real, fake)
        return estimates

    @staticmethod
    def shortage(quantity: str, real: int, sources: int, outputs: int, dim: int) -> str | None:
        if quantity != "extrapolated" or (min(real, sources) >= 8 and min(real, sources * outputs) >= dim):
            return None
        return (
            f"{dim} real images, {dim} outputs and 8 sources of every domain, got {real}, "
            f"{sources * outputs} and {sources}"
        )


_known: WeakKeyDictionary[Real, Statistics] = WeakKeyDictionary()


def _of_real(real: Real) -> Statistics:
    """Return the statistics of a domain's training images, computed once for all pairs."""
    if real not in _known:
        _known[real] = statistics(real.features)
    return _known[real]


def _extrapolated(full: Estimate, real: Real, fake: Fake) -> Estimate:
    dim = fake.features.shape[-1]
    by_source = fake.features.reshape(-1, fake.outputs, dim)

    def of_parts(some_real: Indices, sources: Indices) -> float:
        some_fake = by_source[sources].reshape(-1, dim)
        return distance(statistics(real.features[some_real]), statistics(some_fake))

    return extrapolate(full, of_parts, len(real.features), len(by_source))
