"""Comparing over seeds: intervals, differences, effects, non-inferiority."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

Array = NDArray[np.float64]

PASS_LEVEL = 0.05
"""Chance of passing a metric that got worse by its whole margin."""
FAIL_LEVEL = 0.01
"""Chance that anything of a gate is called a regression where nothing changed."""
_POWER = 0.9
_MOST_SEEDS = 200


@dataclass(frozen=True)
class Difference:
    """How much a value over seeds differs, with its standard error and Student's degrees of freedom."""

    mean: float
    error: float
    freedom: float
    seeds: int
    """Pairs of seeds, or the fewer of the two sides."""
    paired: bool

    def p_at_least(self, margin: float) -> float:
        """One-sided p of the hypothesis that the true difference is `margin` or more; 1 for a single seed."""
        if self.error == 0 and self.mean <= 0:
            return 0.0
        return self._p(self.mean - margin)

    def p_at_most_none(self) -> float:
        """One-sided p of the hypothesis that the true difference is 0 or less; 1 for a single seed."""
        return self._p(-self.mean)

    def p_no_difference(self) -> float:
        """Two-sided p of the hypothesis that the true difference is 0; 1 for a single seed."""
        return min(1.0, 2 * min(self._p(self.mean), self._p(-self.mean)))

    def interval(self) -> tuple[float, float]:
        """Ends of the 95 % interval of the difference by Student's t; NaN for a single seed."""
        half_width = float(stdtrit(self.freedom, 0.975)) * self.error
        return self.mean - half_width, self.mean + half_width

    def seeds_needed(self, margin: float) -> int | None:
        """Seeds with which, were the difference and the spread as found, but no better than none, the margin would be
        ruled out nine times in ten; None beyond 200.
        """
        spread, room = self.error * np.sqrt(self.seeds), margin - max(self.mean, 0)
        for seeds in range(2, _MOST_SEEDS + 1):
            freedom = (seeds - 1) * (1 if self.paired else 2)
            quantiles = stdtrit(freedom, 1 - PASS_LEVEL) + stdtrit(freedom, _POWER)
            if quantiles * spread / np.sqrt(seeds) <= room:
                return seeds
        return None

    def _p(self, beyond: float) -> float:
        if np.isnan(self.error):
            return 1.0
        if self.error == 0:
            return 0.0 if beyond < 0 else 1.0
        return float(stdtr(self.freedom, beyond / self.error))


def difference(new: pd.Series[float], old: pd.Series[float], step: float = 0.0) -> Difference:
    """New minus old, each indexed by seed: paired where both have the same seeds, two or more, else Welch's.

    The error is NaN if a side has a single seed. Where no seed differs from another, but the sides do, chance may be
    hidden in the `step` that values move in (one image of a share, 0 for a continuous value): the error is then that
    of rounding to such steps, whose variance is step² / 12 a value (Sheppard 1898).
    """
    fewest = min(len(new), len(old))
    if fewest >= 2 and (mean := _constant_difference(new, old)) is not None:
        paired = set(new.index) == set(old.index)
        rounding = step * np.sqrt((1 / len(new) + 1 / len(old)) / 12) if mean else 0.0
        return Difference(mean, float(rounding), fewest - 1, fewest, paired)
    if len(new) >= 2 and set(new.index) == set(old.index):
        each = (new - old).to_numpy(float)
        return Difference(each.mean(), each.std(ddof=1) / np.sqrt(len(each)), len(each) - 1, len(each), paired=True)
    mean = float(new.mean() - old.mean())
    if fewest < 2:
        return Difference(mean, np.nan, np.nan, fewest, paired=False)
    parts = np.array([side.var(ddof=1) / len(side) for side in (new, old)])
    squares = (parts**2 / (np.array([len(new), len(old)]) - 1)).sum()
    freedom = parts.sum() ** 2 / squares if squares else fewest - 1
    return Difference(mean, float(np.sqrt(parts.sum())), float(freedom), fewest, paired=False)


def _constant_difference(new: pd.Series[float], old: pd.Series[float]) -> float | None:
    """New minus old where that is the same for all seeds, but for rounding, so that its spread says nothing; else None.

    It is 0 where it is no more than rounding itself.
    """
    paired = set(new.index) == set(old.index)
    rounding = 1e-12 * max(new.abs().max(), old.abs().max())
    spreads = [np.ptp((new - old).to_numpy())] if paired else [np.ptp(new.to_numpy()), np.ptp(old.to_numpy())]
    if max(spreads) > rounding:
        return None
    mean = float(new.mean() - old.mean())
    return mean if abs(mean) > rounding else 0.0


def standardised(new: pd.Series[float], old: pd.Series[float]) -> float:
    """New minus old in units of the spread over seeds: the difference of means over the standard deviation that both
    sides have within (n - 1, pooled; Cohen 1988, chapter 2: d).

    NaN if a side has a single seed, infinite where seeds agree and the sides do not.
    """
    if min(len(new), len(old)) < 2:
        return np.nan
    mean = float(new.mean() - old.mean())
    rounding = 1e-12 * max(new.abs().max(), old.abs().max())
    squares = sum(((side - side.mean()) ** 2).sum() for side in (new, old))
    spread = float(np.sqrt(squares / (len(new) + len(old) - 2)))
    if spread > rounding:
        return mean / spread
    return float(np.copysign(np.inf, mean)) if abs(mean) > rounding else 0.0


def mean_interval(values: Array) -> tuple[float, float]:
    """Mean of (n,) values and half the width of its 95 % interval by Student's t; NaN for a single value."""
    n = len(values)
    if n < 2:
        return float(values.mean()), np.nan
    return float(values.mean()), float(stdtrit(n - 1, 0.975) * values.std(ddof=1) / np.sqrt(n))


def holm(p: Array) -> Array:
    """P values adjusted for their number (Holm 1979)."""
    order = np.argsort(p)
    adjusted = np.empty(len(p))
    adjusted[order] = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    return adjusted.clip(max=1)
