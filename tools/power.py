"""The power of the gate: verdicts of simulated gates."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sg2bench import experiments, gate, rows, texts
from sg2bench.gate.quality import adjust, judge, scale_sides
from sg2bench.layout import RESULTS
from sg2bench.statistics import difference
from tools.tables import ROOT

EXPERIMENT = "critters_gate"
"""The experiment of the tables in docs/gate.md, whose rows are committed."""
BASELINE_SEEDS = 10
LAST_STEPS = 4
_BEYOND_MARGIN = 0.25
"""Worsening of a metric in the table beyond its margin, as a share."""
_WORSE = ("fd_alexnet", "truth_l1", "lpips")
_VERDICTS = (gate.PASS, gate.REGRESSION, gate.INCONCLUSIVE)
Array = NDArray[np.float64]


def simulate(
    deviations: Array, overall: NDArray[np.bool_], margin: Array, effect: Array, seeds: int, baseline: int, trials: int
) -> dict[str, float]:
    """Return the shares of verdicts of simulated gates, with all values on the scale of the test.

    Both sides, of `seeds` and `baseline` seeds, are drawn with the covariance of `deviations` (k, lines): those of k
    seeds from their mean. The new side is worse by `effect` (lines,). `overall` (lines,) marks means over all domains;
    `margin` is (lines,), too.
    """
    rng = np.random.default_rng(seeds)
    found = dict.fromkeys(_VERDICTS, 0)

    def draw(count: int) -> pd.DataFrame:
        return pd.DataFrame(rng.standard_normal((count, len(deviations))) @ deviations / np.sqrt(len(deviations) - 1))

    for _ in range(trials):
        old, new = draw(baseline), draw(seeds) + effect
        differences = [difference(new[line], old[line]) for line in old]
        p_pass = np.array([each.p_at_least(room) for each, room in zip(differences, margin, strict=True)])
        p_fail = adjust(np.array([each.p_at_most_zero() for each in differences]), overall)
        found[gate.verdict(pd.DataFrame({"verdict": judge(p_pass, p_fail)}))] += 1
    return {word: count / trials for word, count in found.items()}


def table() -> str:
    """Return a Markdown table of verdicts of 1,000 simulated gates, with the committed baseline's spread over seeds."""
    path = ROOT / "reports" / EXPERIMENT / RESULTS
    measured = rows.averaged_steps(rows.read(path), LAST_STEPS, path)
    measured = measured[measured["source"] == "*"]
    by_seed = measured.pivot(index="seed", columns=["metric", "mode", "target"], values="value")
    metrics, overall = by_seed.columns.get_level_values("metric"), by_seed.columns.get_level_values("target") == "*"
    margins = gate.margins(declared=experiments.load(EXPERIMENT).margins)

    def scale(shares: Mapping[str, float]) -> tuple[Array, Array]:
        """Return each line's values by seed and its loss when the metric is worse by a share, on the gate's scale."""
        sides = [scale_sides(key[0], by_seed[key], by_seed[key], shares[key[0]]) for key in by_seed]
        return np.stack([values for values, _, _ in sides], 1), np.array([lost for _, _, lost in sides])

    values, margin = scale(margins)
    deviations = values - values.mean(0)
    beyond = {metric: share + _BEYOND_MARGIN for metric, share in margins.items()}
    lines = []
    for seeds in (3, 5, 8, 10):
        for worse in (None, *_WORSE):
            effect = (metrics == worse) * scale(beyond)[1]
            found = simulate(deviations, overall, margin, effect, seeds, BASELINE_SEEDS, trials=1000)
            by = f"{worse} {beyond[worse]:.0%}" if worse else "nothing"
            lines.append((str(seeds), by, *(f"{found[word]:.1%}" for word in _VERDICTS)))
    return texts.markdown_table(("seeds", "worse by", *_VERDICTS), lines)
