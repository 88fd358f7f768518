"""Sampling error of a metric, estimated from influence functions.

A value is nearly linear in its images. Each image moves it by its *influence*, and the squared influences add up to the
value's variance (Hampel 1974; the infinitesimal jackknife of Efron 1982, chapter 6). Unlike a bootstrap this needs no
second evaluation, and it suits Fréchet distances. A bootstrap does not: drawing with replacement repeats images, which
looks like less variety, so the bootstrapped distances lie above the measured one. Influences of values on the same
images add, which gives the interval of a mean over pairs of domains.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

Array = NDArray[np.float64]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Estimate:
    """A value with the influence of each unit (an image, or a source with all its outputs) of each sample, by name."""

    value: float
    influence: Mapping[str, Array]
    """NaN for units that were not used."""
    truncation: float = 0.0
    """Possible error of an extrapolation, on top of the sampling error."""
    least: float = 0.0
    """Minimum half-width of the interval: a share of 0 or 1 is uncertain although no unit moves it."""
    bounds: tuple[float, float] = (-np.inf, np.inf)
    images: int | None = None
    """Number of outputs behind the value, if that is not all."""

    def interval(self) -> tuple[float, float]:
        """Return the 95 % interval for the value's expectation, cut at `bounds`.

        It uses Student's t with the degrees of freedom of the smallest sample, and is NaN if that has a single unit.
        """
        samples = [each[~np.isnan(each)] for each in self.influence.values()]
        if (freedom := min(map(len, samples)) - 1) < 1:
            return np.nan, np.nan
        terms = [np.square(each).sum() * len(each) / (len(each) - 1) for each in samples]
        half = max(self.least, float(stdtrit(freedom, 0.975) * np.sqrt(sum(terms)))) + self.truncation
        return max(self.bounds[0], self.value - half), min(self.bounds[1], self.value + half)


def average(values: NDArray[np.floating], weights: Array, sample: str) -> Estimate:
    """Return the weighted mean of a sample's units; `weights` (n,) sum to 1."""
    mean = float(weights @ values)
    return Estimate(mean, {sample: weights * (values - mean)})


def mean(estimates: Sequence[Estimate]) -> Estimate:
    """Return the mean of estimates, which may share samples."""
    influence: dict[str, Array] = {}
    for estimate in estimates:
        for sample, each in estimate.influence.items():
            influence[sample] = _added(influence.get(sample, np.array([])), each / len(estimates))
    value, truncation, least = np.mean([[e.value, e.truncation, e.least] for e in estimates], 0).tolist()
    return Estimate(value, influence, truncation, least, estimates[0].bounds)


def _added(some: Array, others: Array) -> Array:
    """Add the influences of the same units; units beyond the end of one, or NaN in it, were not used there."""
    both = np.full((2, max(len(some), len(others))), np.nan)
    both[0, : len(some)], both[1, : len(others)] = some, others
    return np.where(np.isnan(both).all(0), np.nan, np.nansum(both, 0))


def extrapolate(full: Estimate, value_of: Callable[[Indices, Indices], float], real: int, fake: int) -> Estimate:
    """Extrapolate a value of `real` and `fake` units to infinitely many; `value_of` takes indices of some of each.

    The bias is a series in 1/n. Disjoint halves and quarters of the units give its first two terms (Richardson's
    extrapolation; Chong and Forsyth 2020 fit a line to get the first alone). As for any truncated series, the last term
    used estimates the remainder: the interval is widened by it. The value may be negative. Raises ValueError if a
    quarter would hold fewer than 2 units.
    """
    if (fewest := min(real, fake)) < 8:
        raise ValueError(f"extrapolation to infinitely many images needs 8 real images and 8 sources, got {fewest}")
    rng = np.random.default_rng(0)

    def of_parts(number: int) -> float:
        some_real, some_fake = rng.permutation(real), rng.permutation(fake)
        return float(np.mean([value_of(some_real[part::number], some_fake[part::number]) for part in range(number)]))

    half, quarter = of_parts(2), of_parts(4)
    first, second = 2 * full.value - half, (8 * full.value - 6 * half + quarter) / 3
    return Estimate(second, full.influence, abs(second - first))
