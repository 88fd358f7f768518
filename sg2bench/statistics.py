"""Statistics over seeds: intervals, differences, effects, non-inferiority."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri, stdtr, stdtrit

Array = NDArray[np.float64]

PASS_LEVEL = 0.05
"""Probability of passing a metric that got worse by its whole margin."""
FAIL_LEVEL = 0.01
"""Probability that a gate reports any regression if nothing changed."""
_POWER = 0.9
_MOST_SEEDS = 200


@dataclass(frozen=True)
class Difference:
    """A difference between values over seeds, with its standard error and Student's degrees of freedom."""

    mean: float
    error: float
    spread: float
    """Standard deviation of the difference between one seed of each side."""
    freedom: float
    seeds: int
    """Number of pairs of seeds, or of seeds on the smaller side."""
    paired: bool

    def p_at_least(self, margin: float) -> float:
        """Return the one-sided p value of a true difference of `margin` or more; 1 for a single seed."""
        if (self.error == 0 and self.mean <= 0) or self.mean == margin == 0:  # a baseline of 0 has a margin of 0
            return 0.0
        return self._p(self.mean - margin)

    def p_at_most_zero(self) -> float:
        """Return the one-sided p value of a true difference of 0 or less; 1 for a single seed."""
        return self._p(-self.mean)

    def p_no_difference(self) -> float:
        """Return the two-sided p value of a true difference of 0; 1 for a single seed."""
        return min(1.0, 2 * min(self._p(self.mean), self._p(-self.mean)))

    def interval(self) -> tuple[float, float]:
        """Return the ends of the 95 % interval of the difference by Student's t; NaN for a single seed."""
        half_width = float(stdtrit(self.freedom, 0.975)) * self.error
        return self.mean - half_width, self.mean + half_width

    def seeds_needed(self, margin: float) -> int | None:
        """Return the number of seeds that would rule out the margin with a power of 90 %; None beyond 200.

        It assumes as many seeds on both sides, and the observed spread and difference, but no improvement: a negative
        difference counts as 0.
        """
        room = margin - max(self.mean, 0)
        for seeds in range(2, _MOST_SEEDS + 1):
            freedom = (seeds - 1) * (1 if self.paired else 2)
            quantiles = stdtrit(freedom, 1 - PASS_LEVEL) + stdtrit(freedom, _POWER)
            if quantiles * self.spread / np.sqrt(seeds) <= room:
                return seeds
        return None

    def _p(self, beyond: float) -> float:
        if np.isnan(self.error):
            return 1.0
        if self.error == 0:
            return 0.0 if beyond < 0 else 1.0
        return float(stdtr(self.freedom, beyond / self.error))


def difference(new: pd.Series[float], old: pd.Series[float], resolution: float = 0.0) -> Difference:
    """Return new minus old, each indexed by seed: paired if both have the same two or more seeds, else Welch's.

    The error is NaN if a side has a single seed. If the seeds agree within each side, or every pair differs by the
    same amount, chance may be hidden by the `resolution` of values (one image of a share, 0 for a continuous value).
    The error is then that of rounding, with a variance of resolution² / 12 per value (Sheppard 1898). If all values of
    both sides are equal, its one-sided 95 % bound is that of an event that none of all seeds' images showed, about
    3 / n (rule of three; Hanley and Lippman-Hand 1983). It is 0 if seeds differ, but no pair of them does.
    """
    paired = set(new.index) == set(old.index)
    theirs = old if not paired or new.index.equals(old.index) else old.reindex(new.index)
    return _difference(np.asarray(new, np.float64), np.asarray(theirs, np.float64), paired, resolution)


def _difference(new: Array, old: Array, paired: bool, resolution: float) -> Difference:
    """Compute `difference` from arrays; paired sides have the same order of seeds."""
    fewest = min(len(new), len(old))
    if fewest >= 2 and (mean := _constant_difference(new, old, paired)) is not None:
        if mean:
            spread = resolution * np.sqrt(2 / 12)
            error = spread * np.sqrt((1 / len(new) + 1 / len(old)) / 2)
        elif np.ptp(new):
            error = spread = 0.0
        else:
            error = (1 - PASS_LEVEL ** (resolution / fewest)) / stdtrit(fewest - 1, 1 - PASS_LEVEL)
            spread = error * np.sqrt(fewest)
        return Difference(mean, float(error), float(spread), fewest - 1, fewest, paired)
    if len(new) >= 2 and paired:
        each = new - old
        spread = each.std(ddof=1)
        return Difference(each.mean(), spread / np.sqrt(len(each)), spread, len(each) - 1, len(each), paired=True)
    mean = float(new.mean() - old.mean())
    if fewest < 2:
        return Difference(mean, np.nan, np.nan, np.nan, fewest, paired=False)
    variances, counts = np.array([new.var(ddof=1), old.var(ddof=1)]), np.array([len(new), len(old)])
    parts = variances / counts
    squares = (parts**2 / (counts - 1)).sum()
    freedom = parts.sum() ** 2 / squares if squares else fewest - 1
    error, spread = np.sqrt(parts.sum()), np.sqrt(variances.sum())
    return Difference(mean, float(error), float(spread), float(freedom), fewest, paired=False)


def _constant_difference(new: Array, old: Array, paired: bool) -> float | None:
    """Return new minus old if it is constant over seeds up to rounding, so that its spread is meaningless; else None.

    A difference within rounding is returned as 0.
    """
    rounding = 1e-12 * max(np.abs(new).max(), np.abs(old).max())
    spreads = [np.ptp(new - old)] if paired else [np.ptp(new), np.ptp(old)]
    if max(spreads) > rounding:
        return None
    mean = float(new.mean() - old.mean())
    return mean if abs(mean) > rounding else 0.0


def standardised(new: pd.Series[float], old: pd.Series[float]) -> float:
    """Return new minus old in units of the spread over seeds (Cohen 1988, chapter 2: d).

    This is the difference of means over the pooled standard deviation within the sides (n - 1). It is NaN if a side has
    a single seed, and infinite if seeds agree but the sides differ.
    """
    if min(len(new), len(old)) < 2:
        return np.nan
    ours, theirs = new.to_numpy(float), old.to_numpy(float)
    mean = float(ours.mean() - theirs.mean())
    rounding = 1e-12 * max(np.abs(ours).max(), np.abs(theirs).max())
    squares = sum(((side - side.mean()) ** 2).sum() for side in (ours, theirs))
    spread = float(np.sqrt(squares / (len(new) + len(old) - 2)))
    if spread > rounding:
        return mean / spread
    return float(np.copysign(np.inf, mean)) if abs(mean) > rounding else 0.0


def mean_interval(values: Array) -> tuple[float, float]:
    """Return the mean of values (n,) and half the width of its 95 % interval by Student's t; NaN for a single value."""
    n = len(values)
    if n < 2:
        return float(values.mean()), np.nan
    return float(values.mean()), float(stdtrit(n - 1, 0.975) * values.std(ddof=1) / np.sqrt(n))


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """Return the ends of the 95 % interval of a share of independent trials (Wilson 1927); 0 and 1 without trials."""
    if trials == 0:
        return 0.0, 1.0
    z = float(ndtri(0.975))
    share, more = successes / trials, z**2 / trials
    center = (share + more / 2) / (1 + more)
    half_width = z * np.sqrt(share * (1 - share) / trials + more / (4 * trials)) / (1 + more)
    return max(0.0, float(center - half_width)), min(1.0, float(center + half_width))


def holm(p: Array) -> Array:
    """Adjust p values for their number (Holm 1979)."""
    order = np.argsort(p)
    adjusted = np.empty(len(p))
    adjusted[order] = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    return adjusted.clip(max=1)
