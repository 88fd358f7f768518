"""Effects: how far each variant is from the first one, by metric and mode, over seeds."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import nan
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
import pandas as pd

from sg2bench.catalog import METRICS
from sg2bench.rows.select import baseline, last_steps, metrics_and_modes, models, overall
from sg2bench.rows.sentences import sentence
from sg2bench.statistics import difference, holm, standardised

if TYPE_CHECKING:
    from sg2bench.keys import Claim

Values: TypeAlias = "pd.Series[float]"
Scale = Literal["ratio", "difference"]
Direction = Literal["worse", "better", "unclear"]
SURE = 0.05
"""Level of intervals and of adjusted p values."""
LEAST = 1e-3
"""Of the largest value of both sides: what a value counts as, at least, in a ratio."""


@dataclass(frozen=True)
class Effect:
    """How far a variant's values over seeds are from the baseline's."""

    scale: Scale
    """`ratio`: of geometric means; `difference`: of means, in the metric's own unit."""
    value: float = nan
    """The variant's mean over seeds, geometric for a ratio; NaN if it was not measured."""
    baseline_value: float = nan
    effect: float = nan
    ci_low: float = nan
    """Ends of the 95 % interval by Student's t, for a ratio on its logarithm; NaN for a single seed."""
    ci_high: float = nan
    p: float = nan
    """Two-sided, of no effect; 1 for a single seed."""
    standardised: float = nan
    """In units of the spread over seeds (Cohen's d); above 0 where the variant is worse."""
    direction: Direction = "unclear"
    """Whether the interval lies wholly on one side of no effect."""
    seeds: int = 0
    """The variant's."""
    baseline_seeds: int = 0
    paired: bool = False
    """Whether both sides have the same seeds, and were compared seed by seed; else by Welch's test."""


COLUMNS = (
    *("variant", "baseline", "metric", "mode", "question", "scale", "value", "baseline_value"),
    *("effect", "ci_low", "ci_high", "p", "p_holm", "standardised", "direction"),
    *("seeds", "baseline_seeds", "paired", "primary", "sentence"),
)


def measure_effects(table: pd.DataFrame, claims: Sequence[Claim] = ()) -> pd.DataFrame:
    """Return how far each variant is from the first one: a row for every metric and mode, of the means over all pairs
    of domains at each run's last step. COLUMNS are those of `Effect` and what they are of.

    A metric that one of the two sides lacks has a row without numbers. `p_holm` is adjusted for all rows (Holm 1979).
    `primary` are those that a claim rests on; all others are exploratory. A `sentence` calls a variant by the term that
    a claim says it lacks.
    """
    of_models = models(last_steps(table))
    means, first, found = overall(of_models), baseline(of_models), []
    terms = {claim.variant: claim.term for claim in reversed(claims)}
    primary = {(claim.variant, claim.metric, claim.mode) for claim in claims if claim.over == "value"}
    for variant in dict.fromkeys(of_models["variant"]):
        for metric, mode in metrics_and_modes(means) if variant != first else ():
            entry = METRICS[metric]
            rows = means[(means["metric"] == metric) & (means["mode"] == mode)]
            each = compare_rows(rows[rows["variant"] == variant], rows[rows["variant"] == first], metric)
            said = sentence(each, lead(variant, terms.get(variant)), entry.phrase, entry.symbol, mode, first)
            of = {"variant": variant, "baseline": first, "metric": metric, "mode": mode, "question": entry.question}
            is_primary = (variant, metric, mode) in primary
            found.append(of | vars(each) | {"primary": is_primary, "sentence": said})
    frame = pd.DataFrame(found, columns=list(COLUMNS))
    return frame.assign(p_holm=adjusted(frame["p"]))


def compare_rows(new: pd.DataFrame, old: pd.DataFrame, metric: str) -> Effect:
    """Compare a model's rows of one metric and mode with another's, one row a seed on either side."""
    entry, both = METRICS[metric], pd.concat([new, old])
    step = 1 / both[["n_real", "n_fake"]].to_numpy().min() if entry.counted and len(both) else 0.0
    ours, theirs = (rows.set_index("seed")["value"] for rows in (new, old))
    return compare(ours, theirs, entry.by_ratio, entry.sign, step)


def compare(new: Values, old: Values, by_ratio: bool, sign: int, step: float = 0.0) -> Effect:
    """Compare a variant's values with the baseline's, each indexed by seed. More is worse for a `sign` of 1, better for
    -1.

    `step` is what a value moves by, at least, as in `statistics.difference`. For a ratio, a value counts as a
    thousandth of the largest on both sides, at least, so that one of 0 is a fall by 99.9 % and not without end.
    """
    scale: Scale = "ratio" if by_ratio else "difference"
    restored: Callable[[float], float] = math.exp if by_ratio else float
    are_0 = [len(side) > 0 and not side.any() for side in (new, old)]
    if by_ratio:
        least = LEAST * max([*new, *old], default=0.0) or 1.0  # all are 0: equal, whatever they count as
        new, old = (side.clip(lower=least).map(math.log) for side in (new, old))
    value, baseline_value = (
        0.0 if is_0 else restored(side.mean()) for side, is_0 in zip((new, old), are_0, strict=True)
    )
    sides = Effect(scale, value, baseline_value, seeds=len(new), baseline_seeds=len(old))
    if new.empty or old.empty:
        return sides
    found = difference(new, old, step)
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


def adjusted(p: Values) -> Values:
    """P values adjusted for their number (Holm 1979); those that are not there stay so."""
    known = p.dropna()
    return pd.Series(holm(np.asarray(known, np.float64)), known.index).reindex(p.index)


def lead(variant: str, term: str | None) -> str:
    """How a sentence on a variant begins."""
    return f"Without {term}" if term else f"In {variant}"
