"""The claim table: the stated purpose of each term, and whether it holds here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from sg2bench.catalog import METRICS
from sg2bench.rows.effects import LEAST, SIGNIFICANCE, Effect, adjusted, compare, compare_rows, lead
from sg2bench.rows.select import last_steps, models, of_half, overall
from sg2bench.rows.sentences import sentence

if TYPE_CHECKING:
    from sg2bench.config import Experiment
    from sg2bench.keys import Claim

Verdict = Literal["holds here", "does not hold here", "not decided"]
LEAST_STEPS = 3
"""Number of evaluated steps that a swing needs."""
COLUMNS = (
    *("term", "purpose", "verdict", "variant", "baseline", "metric", "mode", "over", "scale", "value"),
    *("baseline_value", "effect", "ci_low", "ci_high", "worst", "p", "p_holm", "standardised", "direction"),
    *("seeds", "baseline_seeds", "paired", "missing", "baseline_missing", "sentence"),
)
RULE = (
    "Holds here: without the term the claim's metric is worse, with p < 0.05 by a two-sided t-test over seeds after "
    "Holm's correction for the claims of this table. Does not hold here: the 95 % interval lies wholly on the better "
    "side, or excludes a worsening by the margin. Not decided: neither; more seeds may decide it. "
    "Changes in per cent compare geometric means; the tables show arithmetic ones."
)


def judge_claims(table: pd.DataFrame, experiment: Experiment) -> pd.DataFrame:
    """Return a verdict on each claim of an experiment, by RULE, from all its rows.

    COLUMNS are the fields of the claim and of its effect. `worst` is the effect of a worsening by the margin. `missing`
    is the number of the experiment's seeds without rows, because their training diverged or failed. The baseline is the
    experiment's first variant.
    """
    first, rows = next(iter(experiment.variants)), []
    found = [_compared(table, claim, first) for claim in experiment.claims]
    p_holm = adjusted(pd.Series([each.p for each in found], dtype=float))
    for claim, each, p in zip(experiment.claims, found, p_holm, strict=True):
        worst = _worst(claim, each)
        missing, baseline_missing = (_missing(table, side, experiment) for side in (claim.variant, first))
        trained = max(missing, baseline_missing) < len(experiment.seeds)
        said = [_sentence(claim, each, first, trained)]
        if missing or baseline_missing:
            of = f"of {len(experiment.seeds)}"
            said.append(
                f"Seeds without rows (training diverged or failed): {claim.variant} {missing} {of}, {first} "
                f"{baseline_missing} {of}."
            )
        elif claim.over == "swing":
            said.append("No run diverged or failed.")
        rows.append(
            dict(claim)
            | vars(each)
            | {"baseline": first, "worst": worst, "p_holm": p, "verdict": verdict(each, _sign(claim), p, worst)}
            | {"missing": missing, "baseline_missing": baseline_missing, "sentence": " ".join(said)}
        )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def verdict(found: Effect, sign: int, p_holm: float, worst: float) -> Verdict:
    """Return whether a claim holds, by RULE. Larger values of the metric are worse for a `sign` of 1, better for -1."""
    none = 1.0 if found.scale == "ratio" else 0.0
    if p_holm < SIGNIFICANCE and sign * (found.effect - none) > 0:
        return "holds here"
    worse_end = found.ci_high if sign > 0 else found.ci_low
    if sign * (worst - worse_end) > 0:
        return "does not hold here"
    return "not decided"


def swings(table: pd.DataFrame, claim: Claim) -> pd.DataFrame:
    """Return the swing of a metric in each run, with columns `variant`, `seed` and `value`.

    The swing is the standard deviation over the last half of the evaluated steps, at least three, on the even sources;
    of logarithms if the metric is compared by ratio. Runs with fewer steps are left out.
    """
    rows = _of(claim, of_half(table, "even")).sort_values("step")
    found = []
    for (variant, seed), run in rows.groupby(["variant", "seed"], sort=False):
        values = run["value"].to_numpy(float)
        if len(values) < LEAST_STEPS:
            continue
        last = values[-max(LEAST_STEPS, -(-len(values) // 2)) :]
        if METRICS[claim.metric].by_ratio and last.any():
            last = np.log(last.clip(min=LEAST * last.max()))
        found.append((variant, seed, last.std(ddof=1)))
    return pd.DataFrame(found, columns=["variant", "seed", "value"])


def _compared(table: pd.DataFrame, claim: Claim, first: str) -> Effect:
    """Compare a claim's variant with the first one; a larger swing is worse, whatever the metric."""
    rows = swings(table, claim) if claim.over == "swing" else _of(claim, last_steps(table))
    new, old = (rows[rows["variant"] == side] for side in (claim.variant, first))
    if claim.over == "value":
        return compare_rows(new, old, claim.metric)
    return compare(new.set_index("seed")["value"], old.set_index("seed")["value"], by_ratio=True, sign=1)


def _sign(claim: Claim) -> int:
    return 1 if claim.over == "swing" else METRICS[claim.metric].sign


def _worst(claim: Claim, found: Effect) -> float:
    """Return the effect of a worsening by the margin."""
    entry = METRICS[claim.metric]
    margin = _sign(claim) * (claim.margin or entry.margin)
    if found.scale == "ratio":
        return 1 + margin
    return margin if entry.absolute else margin * abs(found.baseline_value)


def _missing(table: pd.DataFrame, variant: str, experiment: Experiment) -> int:
    """Return how many of the experiment's seeds have no rows."""
    return len(set(experiment.seeds) - set(table[table["variant"] == variant]["seed"]))


def _sentence(claim: Claim, found: Effect, first: str, trained: bool) -> str:
    entry, begin = METRICS[claim.metric], lead(claim.variant, claim.term)
    if claim.over == "value":
        return sentence(found, begin, entry.phrase, entry.symbol, claim.mode, first)
    if trained and not (found.seeds and found.baseline_seeds):
        return f"A swing needs {LEAST_STEPS} or more evaluated steps (train.evaluate_every or evaluate_at)."
    return sentence(found, begin, f"the swing of {entry.phrase} over the last evaluated steps", "", claim.mode, first)


def _of(claim: Claim, table: pd.DataFrame) -> pd.DataFrame:
    """Return the means over all pairs, for the metric and mode of a claim."""
    means = overall(models(table))
    return means[(means["metric"] == claim.metric) & (means["mode"] == claim.mode)]
