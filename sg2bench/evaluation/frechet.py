"""The Fréchet distance between two sets of features, in float64, without a matrix square root of a product.

`|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))` (Dowson and Landau 1982; Heusel et al. 2017, section 4). With R the root
of C1 and X the centred features of the other set, the last trace is the sum of the singular values of `X R`, which
are real and not negative however singular the covariances are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Statistics:
    """Mean (d,) and covariance (d, d) of `count` features, divided by count - 1."""

    mean: Array
    covariance: Array
    count: int


def statistics(features: NDArray[np.floating]) -> Statistics:
    """Statistics of features (n, d). Raises ValueError if there are fewer than 2 or one is not finite."""
    features = np.asarray(features, np.float64)
    if len(features) < 2:
        raise ValueError(f"a Fréchet distance needs at least 2 images on each side, got {len(features)}")
    if not np.isfinite(features).all():
        raise ValueError("features are not finite: an image or the network gave NaN or infinity")
    return Statistics(features.mean(0), np.atleast_2d(np.cov(features, rowvar=False)), len(features))


def root(covariance: Array) -> Array:
    """The symmetric square root of a covariance; rounding's negative eigenvalues count as 0."""
    values, vectors = np.linalg.eigh(covariance)
    symmetric: Array = (vectors * np.sqrt(values.clip(min=0))) @ vectors.T
    return symmetric


def distance(real: Statistics, features: NDArray[np.floating]) -> float:
    """Fréchet distance (squared, >= 0) of features (n, d) from real statistics. Raises ValueError as `statistics`."""
    fake = statistics(features)
    if len(fake.mean) != len(real.mean):
        raise ValueError(f"features have {len(fake.mean)} dimensions, the real statistics {len(real.mean)}")
    centred = np.asarray(features, np.float64) - fake.mean
    if len(centred) > len(fake.mean):
        centred = root(fake.covariance) * np.sqrt(fake.count - 1)
    overlap = np.linalg.svd(centred @ root(real.covariance), compute_uv=False).sum() / np.sqrt(fake.count - 1)
    traces = np.trace(real.covariance) + np.trace(fake.covariance)
    return float(max(0.0, np.square(real.mean - fake.mean).sum() + traces - 2 * overlap))
