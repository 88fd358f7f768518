"""The kernel distance between two sets of features: KID (Bińkowski et al. 2018, section 4) on Inception features."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from sg2bench.evaluation.measures.base import Fake, FeatureMeasure, Real, of_units
from sg2bench.evaluation.uncertainty import Estimate

Array = NDArray[np.float64]

_ROWS = 1000


def distance(real: NDArray[np.floating], fake: NDArray[np.floating]) -> float:
    """Return the unbiased squared maximum mean discrepancy of features (n, d) and (m, d), float64.

    The kernel is `(x·y / d + 1)^3`. All images are used at once, whereas KID as published averages over random subsets:
    the expectation is the same, with less noise, and the value is deterministic. It may be negative near 0. Raises
    ValueError if a side has fewer than 2 images.
    """
    return influences(real, fake)[0]


def influences(real: NDArray[np.floating], fake: NDArray[np.floating]) -> tuple[float, Array, Array]:
    """Return the distance, and the influence of each real image (n,) and of each fake (m,) on it: see uncertainty.py.

    Influences are the first term of Hoeffding's decomposition (1948). Raises ValueError like `distance`.
    """
    if (fewest := min(len(real), len(fake))) < 2:
        raise ValueError(f"a kernel distance needs at least 2 images on each side, got {fewest}")
    x, y = np.asarray(real, np.float64), np.asarray(fake, np.float64)
    to_y, to_x = _sums(x, y)
    each_x, each_y = (_sums(side, side, with_self=False)[0] / (len(side) - 1) for side in (x, y))
    value = float(each_x.mean() + each_y.mean() - 2 * to_y.mean() / len(y))
    return value, _influence(each_x - to_y / len(y)), _influence(each_y - to_x / len(x))


def _sums(x: Array, y: Array, with_self: bool = True) -> tuple[Array, Array]:
    """Sum the kernel over y for each row of x, and over x for each row of y; in blocks, as the matrix is n × m.

    If y is x, `with_self=False` leaves out the kernel of a row with itself.
    """
    to_y, to_x = np.empty(len(x)), np.zeros(len(y))
    for start in range(0, len(x), _ROWS):
        block = _kernel(x[start : start + _ROWS], y)
        to_y[start : start + _ROWS] = block.sum(1)
        to_x += block.sum(0)
        if not with_self:
            to_y[start : start + _ROWS] -= np.diagonal(block, start)
    return to_y, to_x


def _kernel(x: Array, y: Array) -> Array:
    product: Array = x @ y.T / x.shape[1] + 1
    return product * product * product  # `** 3` takes 20 times as long


def _influence(each: Array) -> Array:
    influence: Array = 2 * (each - each.mean()) / len(each)
    return influence


class Measure(FeatureMeasure):
    """`distance`: the kernel distance."""

    @classmethod
    def compare(cls, quantities: Collection[str], real: Real, fake: Fake) -> dict[str, Estimate]:
        return {"distance": of_units(*influences(real.features, fake.features), fake)}
