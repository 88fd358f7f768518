"""The Fréchet distance between two sets of features, in float64, without any matrix square root.

`|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))` (Dowson and Landau 1982; Heusel et al. 2017, section 4). With factors
`C1 = F1' F1` and `C2 = F2' F2`, which a QR decomposition of the centred features gives, the last trace is the sum of
the singular values of `F1 F2'`: real and not negative, however singular the covariances are. With fewer images than
features a matrix square root carries noise; this value is exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Statistics:
    """Of `count` features: their mean (d,) and a factor (min(count, d), d) of their covariance, `factor' factor`.

    The covariance is divided by count - 1.
    """

    mean: Array
    factor: Array
    count: int

    @property
    def trace(self) -> float:
        """Of the covariance: the sum of the variances."""
        return float(np.square(self.factor).sum())


def statistics(features: NDArray[np.floating]) -> Statistics:
    """Statistics of features (n, d). Raises ValueError if there are fewer than 2 or one is not finite."""
    features = np.asarray(features, np.float64)
    if len(features) < 2:
        raise ValueError(f"a Fréchet distance needs at least 2 images on each side, got {len(features)}")
    if not np.isfinite(features).all():
        raise ValueError("features are not finite: an image or the network gave NaN or infinity")
    mean = features.mean(0)
    centred = (features - mean) / np.sqrt(len(features) - 1)
    factor: Array = centred if len(centred) <= len(mean) else np.asarray(np.linalg.qr(centred, mode="r"))
    return Statistics(mean, factor, len(features))


def distance(real: Statistics, features: NDArray[np.floating]) -> float:
    """Fréchet distance (squared, >= 0) of features (n, d) from real statistics. Raises ValueError as `statistics`."""
    fake = statistics(features)
    if len(fake.mean) != len(real.mean):
        raise ValueError(f"features have {len(fake.mean)} dimensions, the real statistics {len(real.mean)}")
    overlap = np.linalg.svd(fake.factor @ real.factor.T, compute_uv=False).sum()
    return float(max(0.0, np.square(real.mean - fake.mean).sum() + real.trace + fake.trace - 2 * overlap))
