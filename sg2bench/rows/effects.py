"""Effects: the difference of each variant from the first one, by metric and mode, over seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import nan
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sg2bench.catalog import METRICS
from sg2bench.rows.select import baseline, last_steps, metrics_and_modes, models, overall
from sg2bench.rows.sentences import sentence
from sg2bench.statistics import difference, holm, standardised

if TYPE_CHECKING:
    from sg2bench.keys import Claim

Values: TypeAlias = "pd.Series[float]"
Arrays: TypeAlias = tuple[NDArray[Any], ...]
Scale = Literal["ratio", "difference"]
Direction = Literal["worse", "better", "unclear"]
SIGNIFICANCE = 0.05
"""Level of intervals and of adjusted p values."""
LEAST = 1e-3
"""Smallest value in a ratio, as a share of the largest value on both sides."""
_NOWHERE = np.array([], dtype=int)


@dataclass(frozen=True)
class Effect:
    """The difference between a variant's values and the baseline's, over seeds."""

    scale: Scale
    """`ratio` of geometric means, or `difference` of means in the metric's unit."""
    value: float = nan
    """Mean of the variant over seeds, geometric for a ratio; NaN if it was not measured."""
    baseline_value: float = nan
    effect: float = nan
    ci_low: float = nan
    """Ends of the 95 % interval by Student's t, on logarithms for a ratio; NaN for a single seed."""
    ci_high: float = nan
    p: float = nan
    """Two-sided p value of no effect; 1 for a single seed."""
    standardised: float = nan
    """Effect in units of the spread over seeds (Cohen's d); positive if the variant is worse."""
    direction: Direction = "unclear"
    """The side of no effect on which the whole interval lies, if any."""
    seeds: int = 0
    """Number of the variant's seeds."""
    baseline_seeds: int = 0
    paired: bool = False
    """Whether both sides have the same seeds and were compared seed by seed; otherwise Welch's test is used."""


COLUMNS = (
    *("variant", "baseline", "metric", "mode", "question", "scale", "value", "baseline_value"),
    *("effect", "ci_low", "ci_high", "p", "p_holm", "standardised", "direction"),
    *("seeds", "baseline_seeds", "paired", "primary", "sentence"),
)


def measure_effects(table: pd.DataFrame, claims: Sequence[Claim] = ()) -> pd.DataFrame:
    """Return the effect of each variant against the first one, a row per metric and mode.

    Effects are those of means over all pairs of domains, at each run's last step. COLUMNS are the fields of `Effect`
    and its keys. A metric that one side lacks has a row without numbers. `p_holm` is adjusted for all rows (Holm 1979).
    `primary` marks effects on which a claim rests; all others are exploratory. A `sentence` names a variant by the term
    that it lacks according to a claim.
    """
    of_models = models(last_steps(table))
    means, first, found = overall(of_models), baseline(of_models), []
    terms = {claim.variant: claim.term for claim in reversed(claims)}
    primary = {(claim.variant, claim.metric, claim.mode) for claim in claims if claim.over == "value"}
    columns, places = metrics_and_modes(means), means.groupby(["variant", "metric", "mode"], sort=False).indices
    arrays = _arrays(means)
    for variant in dict.fromkeys(of_models["variant"]):
        for metric, mode in columns if variant != first else ():
            entry = METRICS[metric]
            ours, theirs = (places.get((name, metric, mode), _NOWHERE) for name in (variant, first))
            each = _compare(tuple(array[ours] for array in arrays), tuple(array[theirs] for array in arrays), metric)
            said = sentence(each, lead(variant, terms.get(variant)), entry.phrase, entry.symbol, mode, first)
            of = {"variant": variant, "baseline": first, "metric": metric, "mode": mode, "question": entry.question}
            is_primary = (variant, metric, mode) in primary
            found.append(of | vars(each) | {"primary": is_primary, "sentence": said})
    frame = pd.DataFrame(found, columns=list(COLUMNS))
    return frame.assign(p_holm=adjusted(frame["p"]))


def compare_rows(new: pd.DataFrame, old: pd.DataFrame, metric: str) -> Effect:
    """Compare one model's rows of a metric and mode with another's, one row per seed on either side."""
    return _compare(_arrays(new), _arrays(old), metric)


def _arrays(rows: pd.DataFrame) -> Arrays:
    """Return values, seeds, and the fewest images behind each, as arrays: thousands of frames would take minutes."""
    return rows["value"].to_numpy(float), rows["seed"].to_numpy(), rows[["n_real", "n_fake"]].to_numpy().min(axis=1)


def _compare(new: Arrays, old: Arrays, metric: str) -> Effect:
    entry, fewest = METRICS[metric], np.concatenate([new[2], old[2]])
    resolution = 1 / fewest.min() if entry.counted and len(fewest) else 0.0
    ours, theirs = (pd.Series(values, seeds) for values, seeds, _ in (new, old))
    return compare(ours, theirs, entry.by_ratio, entry.sign, resolution)


def compare(new: Values, old: Values, by_ratio: bool, sign: int, resolution: float = 0.0) -> Effect:
    """Compare a variant's values with the baseline's, each indexed by seed.

    Larger values are worse for a `sign` of 1, better for -1. `resolution` is the smallest change of a value, as in
    `statistics.difference`. In a ratio, values are clipped from below at a thousandth of the largest value on both
    sides, so that a fall to 0 counts as 99.9 % and is finite.
    """
    scale: Scale = "ratio" if by_ratio else "difference"
    restored: Callable[[float], float] = math.exp if by_ratio else float
    value, baseline_value = (_center(side, by_ratio) for side in (new, old))
    if by_ratio:
        least = LEAST * max([*new, *old], default=0.0) or 1.0  # if all are 0, the sides are equal, whatever the bound
        new, old = (pd.Series(np.log(np.maximum(side.to_numpy(float), least)), side.index) for side in (new, old))
    sides = Effect(scale, value, baseline_value, seeds=len(new), baseline_seeds=len(old))
    if new.empty or old.empty:
        return sides
    found = difference(new, old, resolution)
    low, high = found.interval()
    beyond = sign * (int(low > 0) - int(high < 0))
    return replace(
        sides,
        effect=restored(found.mean),
        ci_low=restored(low),
        ci_high=restored(high),
        p=found.p_no_difference(),
        standardised=sign * standardised(new, old),
        direction="worse" if beyond > 0 else "better" if beyond < 0 else "unclear",
        paired=found.paired,
    )


def _center(values: Values, by_ratio: bool) -> float:
    """Return the mean, or the geometric mean if effects are ratios: 0 if a value is 0."""
    if not by_ratio or values.empty:
        return float(values.mean())
    with np.errstate(divide="ignore"):
        return float(np.exp(np.log(values.to_numpy(float)).mean()))


def adjusted(p: Values) -> Values:
    """Adjust p values for their number (Holm 1979); missing ones stay missing."""
    known = p.dropna()
    return pd.Series(holm(np.asarray(known, np.float64)), known.index).reindex(p.index)


def lead(variant: str, term: str | None) -> str:
    """Return the beginning of a sentence on a variant."""
    return f"Without {term}" if term else f"In {variant}"
