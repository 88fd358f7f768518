"""How sure the gate is: verdicts of simulated gates."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sg2bench import experiments, gate, rows
from sg2bench.gate.quality import adjust, judge, scale_sides
from sg2bench.layout import RESULTS
from sg2bench.statistics import difference
from tools.tables import ROOT, markdown

EXPERIMENT = "critters_gate"
"""The experiment of the tables in docs/gate.md, whose rows are committed."""
BASELINE_SEEDS = 10
LAST_STEPS = 3
_BEYOND_MARGIN = 0.25
"""How far beyond its margin, as a share, a metric is worse in the table."""
_WORSE = ("fd_alexnet", "truth_l1", "lpips")
_VERDICTS = (gate.PASS, gate.REGRESSION, gate.INCONCLUSIVE)
Array = NDArray[np.float64]


def simulate(
    deviations: Array, overall: NDArray[np.bool_], margin: Array, effect: Array, seeds: int, baseline: int, trials: int
) -> dict[str, float]:
    """Shares of verdicts when both sides, of `seeds` and `baseline` seeds, are drawn with the covariance of
    `deviations` (k, lines), those of k seeds from their mean, and the new side is worse by `effect`; all on the scale of
    the test. `overall`, `margin`, `effect` (lines,): which lines are means over all domains.
    """
    rng = np.random.default_rng(seeds)
    found = dict.fromkeys(_VERDICTS, 0)

    def draw(count: int) -> pd.DataFrame:
        return pd.DataFrame(rng.standard_normal((count, len(deviations))) @ deviations / np.sqrt(len(deviations) - 1))

    for _ in range(trials):
        old, new = draw(baseline), draw(seeds) + effect
        differences = [difference(new[line], old[line]) for line in old]
        p_pass = np.array([each.p_at_least(room) for each, room in zip(differences, margin, strict=True)])
        p_fail = adjust(np.array([each.p_at_most_none() for each in differences]), overall)
        found[gate.verdict(pd.DataFrame({"verdict": judge(p_pass, p_fail)}))] += 1
    return {word: count / trials for word, count in found.items()}


def table() -> str:
    """Verdicts of 1,000 simulated gates with the spread that the seeds of the committed baseline have, in Markdown."""
    path = ROOT / "reports" / EXPERIMENT / RESULTS
    measured = rows.averaged_steps(rows.read(path), LAST_STEPS, path)
    measured = measured[measured["source"] == "*"]
    by_seed = measured.pivot(index="seed", columns=["metric", "mode", "target"], values="value")
    metrics, overall = by_seed.columns.get_level_values("metric"), by_seed.columns.get_level_values("target") == "*"
    margins = gate.margins(declared=experiments.load(EXPERIMENT).margins)

    def scale(shares: Mapping[str, float]) -> tuple[Array, Array]:
        """On the gate's scale, each line's values by seed, and what it loses when its metric gets worse by a share."""
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
    return markdown(("seeds", "worse by", *_VERDICTS), lines)
