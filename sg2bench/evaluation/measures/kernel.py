"""Kernel distances between two sets of features: KID (Bińkowski et al. 2018, section 4) on Inception features, CMMD
(Jayasumana et al. 2024, section 4) on CLIP's.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sg2bench.evaluation.measures.base import Fake, FeatureMeasure, Real, of_units
from sg2bench.evaluation.uncertainty import Array, Estimate

Kernel = Callable[[Array, Array], Array]
"""Features (n, d) and (m, d) -> their kernel, (n, m)."""

_ROWS = 1000
_SIGMA, _SCALE = 10.0, 1000.0
"""Width of CMMD's kernel, for embeddings of length 1, and the factor that makes its values readable."""


def distance(real: NDArray[np.floating], fake: NDArray[np.floating]) -> float:
    """Return the unbiased squared maximum mean discrepancy of features (n, d) and (m, d), float64.

    The kernel is `(x·y / d + 1)^3`. All images are used at once, whereas KID as published averages over random subsets:
    the expectation is the same, with less noise, and the value is deterministic. It may be negative near 0. Raises
    ValueError if a side has fewer than 2 images.
    """
    return influences(real, fake)[0]


def cmmd(real: NDArray[np.floating], fake: NDArray[np.floating]) -> float:
    """Return CMMD of embeddings of length 1, (n, d) and (m, d): 1000 times their squared maximum mean discrepancy.

    The kernel is `exp(-|x - y|² / 200)`. The estimate is biased, as in the published code: it includes pairs of an
    image with itself, so it is never negative. Raises ValueError like `distance`.
    """
    return cmmd_influences(real, fake)[0]


def influences(real: NDArray[np.floating], fake: NDArray[np.floating]) -> tuple[float, Array, Array]:
    """Return `distance`, and the influence of each real image (n,) and of each fake (m,) on it: see uncertainty.py.

    Influences are the first term of Hoeffding's decomposition (1948). Raises ValueError like `distance`.
    """
    return _discrepancy(real, fake, _cubic, unbiased=True)


def cmmd_influences(real: NDArray[np.floating], fake: NDArray[np.floating]) -> tuple[float, Array, Array]:
    """Return `cmmd` and the influences on it, as `influences` does for `distance`."""
    value, *each = _discrepancy(real, fake, _gaussian, unbiased=False)
    each_real, each_fake = (_SCALE * one for one in each)
    return _SCALE * value, each_real, each_fake


def _discrepancy(
    real: NDArray[np.floating], fake: NDArray[np.floating], kernel: Kernel, unbiased: bool
) -> tuple[float, Array, Array]:
    if (fewest := min(len(real), len(fake))) < 2:
        raise ValueError(f"a kernel distance needs at least 2 images on each side, got {fewest}")
    x, y = np.asarray(real, np.float64), np.asarray(fake, np.float64)
    to_y, to_x = _sums(kernel, x, y)
    each_x, each_y = (_sums(kernel, side, side, with_self=not unbiased)[0] / (len(side) - unbiased) for side in (x, y))
    value = float(each_x.mean() + each_y.mean() - 2 * to_y.mean() / len(y))
    return value, _influence(each_x - to_y / len(y)), _influence(each_y - to_x / len(x))


def _sums(kernel: Kernel, x: Array, y: Array, with_self: bool = True) -> tuple[Array, Array]:
    """Sum the kernel over y for each row of x, and over x for each row of y; in blocks, as the matrix is n × m.

    If y is x, `with_self=False` leaves out the kernel of a row with itself.
    """
    to_y, to_x = np.empty(len(x)), np.zeros(len(y))
    for start in range(0, len(x), _ROWS):
        block = kernel(x[start : start + _ROWS], y)
        to_y[start : start + _ROWS] = block.sum(1)
        to_x += block.sum(0)
        if not with_self:
            to_y[start : start + _ROWS] -= np.diagonal(block, start)
    return to_y, to_x


def _cubic(x: Array, y: Array) -> Array:
    product: Array = x @ y.T / x.shape[1] + 1
    return product * product * product  # `** 3` takes 20 times as long


def _gaussian(x: Array, y: Array) -> Array:
    squares = np.square(x).sum(1)[:, None] + np.square(y).sum(1) - 2 * x @ y.T
    kernel: Array = np.exp(-squares / (2 * _SIGMA**2))
    return kernel


def _influence(each: Array) -> Array:
    influence: Array = 2 * (each - each.mean()) / len(each)
    return influence


class Measure(FeatureMeasure):
    """`distance`: the kernel distance. `gaussian`: CMMD."""

    @classmethod
    def compare(cls, quantities: Collection[str], real: Real, fake: Fake) -> dict[str, Estimate]:
        computed = {
            "distance": (influences, (-np.inf, np.inf)),
            "gaussian": (cmmd_influences, (0.0, np.inf)),
        }
        return {
            quantity: replace(of_units(*compute(real.features, fake.features), fake), bounds=bounds)
            for quantity, (compute, bounds) in computed.items()
            if quantity in quantities
        }
