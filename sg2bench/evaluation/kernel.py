"""The kernel distance between two sets of features: KID (Bińkowski et al. 2018, section 4) on Inception features."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def distance(real: NDArray[np.floating], fake: NDArray[np.floating]) -> float:
    """Unbiased squared maximum mean discrepancy of features (n, d) and (m, d), float64, kernel `(x·y / d + 1)^3`.

    Over all images at once, where KID as published averages random subsets: the same expectation, less noise, the same
    value every time. Around 0 it may be negative. Raises ValueError if a side has fewer than 2 images.
    """
    if (fewest := min(len(real), len(fake))) < 2:
        raise ValueError(f"a kernel distance needs at least 2 images on each side, got {fewest}")
    x, y = np.asarray(real, np.float64), np.asarray(fake, np.float64)
    return _mean_of_others(_kernel(x, x)) + _mean_of_others(_kernel(y, y)) - 2 * float(_kernel(x, y).mean())


def _kernel(x: Array, y: Array) -> Array:
    product: Array = (x @ y.T / x.shape[1] + 1) ** 3
    return product


def _mean_of_others(kernel: Array) -> float:
    """The mean of a square matrix without its diagonal."""
    n = len(kernel)
    return float((kernel.sum() - np.trace(kernel)) / (n * (n - 1)))
