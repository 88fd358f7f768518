"""How far a value is off because its images are a sample of those there could be.

A value is nearly linear in its images: each moves it by its *influence*, and the squares of the influences add up to
the value's variance (Hampel 1974; the infinitesimal jackknife of Efron 1982, chapter 6). Unlike a bootstrap this asks
for no second evaluation, and it is fit for Fréchet distances, where a bootstrap is not: drawing with replacement
repeats images, which looks like less variety, so the distances it draws lie above the one it was to be about.
Influences of values on the same images add, which gives the interval of a mean over pairs of domains.
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
    truncation: float = 0.0
    """What extrapolation may have left, on top of chance."""
    least: float = 0.0
    """The interval reaches so far at least: that no unit moves a share of 0 or 1 does not make it sure."""
    bounds: tuple[float, float] = (-np.inf, np.inf)
    images: int | None = None
    """How many outputs it is of, where that is not all."""

    def interval(self) -> tuple[float, float]:
        """Interval that is to hold the value's expectation with a probability of 95 %; cut at `bounds`.

        Student's t with as many degrees of freedom as the smallest sample has.
        """
        terms = [np.square(each).sum() * len(each) / (len(each) - 1) for each in self.influence.values()]
        freedom = min(len(each) for each in self.influence.values()) - 1
        half = max(self.least, float(stdtrit(freedom, 0.975) * np.sqrt(sum(terms)))) + self.truncation
        return max(self.bounds[0], self.value - half), min(self.bounds[1], self.value + half)


def average(values: NDArray[np.floating], weights: Array, sample: str) -> Estimate:
    """The weighted mean of a sample's units, `weights` (n,) with sum 1."""
    mean = float(weights @ values)
    return Estimate(mean, {sample: weights * (values - mean)})


def mean(estimates: Sequence[Estimate]) -> Estimate:
    """The mean of values, some of which may be on the same samples."""
    influence: dict[str, Array] = {}
    for estimate in estimates:
        for sample, each in estimate.influence.items():
            influence[sample] = influence.get(sample, 0) + each / len(estimates)
    value, truncation, least = np.mean([[e.value, e.truncation, e.least] for e in estimates], 0).tolist()
    return Estimate(value, influence, truncation, least, estimates[0].bounds)


def extrapolate(full: Estimate, value_of: Callable[[Indices, Indices], float], real: int, fake: int) -> Estimate:
    """A value of `real` and `fake` units at infinitely many of both; `value_of` is given indices of some of each.

    Its bias is a series in 1/n. Disjoint halves and quarters of the units give its first two terms (Richardson's
    extrapolation; the first alone, by a line: Chong and Forsyth 2020). As in any truncated series the last term used
    is what may be left: the interval is widened by it. Raises ValueError if a quarter would hold fewer than 2 units.
    The value may be negative.
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
