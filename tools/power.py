"""How sure the gate is: verdicts of simulated gates."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sg2bench import experiments, gate, rows
from sg2bench.gate.quality import judge, scale_sides
from sg2bench.layout import RESULTS
from sg2bench.statistics import difference, holm
from tools.tables import ROOT, markdown

STUDY = ROOT / "reports/critters_short"
"""The study of the tables in docs/gate.md: 360 steps of critters."""
_BEYOND_MARGIN = 0.25
"""How far beyond its margin, as a share, a metric is worse in the table."""
_VERDICTS = (gate.PASS, gate.REGRESSION, gate.INCONCLUSIVE)
Array = NDArray[np.float64]


def simulate(
    deviations: Array, margin: Array, effect: Array, seeds: int, paired: bool, trials: int
) -> dict[str, float]:
    """Shares of verdicts when both sides are drawn with the covariance of `deviations` (k, lines), those of k seeds
    from their mean, and the new side is worse by `effect`; all on the scale of the test. `margin`, `effect` (lines,).
    """
    rng = np.random.default_rng(seeds)
    found = dict.fromkeys(_VERDICTS, 0)
    index = np.arange(seeds)

    def draw() -> Array:
        return rng.standard_normal((seeds, len(deviations))) @ deviations / np.sqrt(len(deviations) - 1)

    for _ in range(trials):
        old, new = draw(), draw() + effect
        differences = [
            difference(pd.Series(ours, index + (not paired) * seeds), pd.Series(theirs, index))
            for ours, theirs in zip(new.T, old.T, strict=True)
        ]
        p_pass = np.array([each.p_at_least(room) for each, room in zip(differences, margin, strict=True)])
        p_fail = holm(np.array([each.p_at_most_none() for each in differences]))
        found[gate.verdict(pd.DataFrame({"verdict": judge(p_pass, p_fail)}))] += 1
    return {word: count / trials for word, count in found.items()}


def table() -> str:
    """Verdicts of 1,000 simulated gates with the spread that the seeds of the study's full model have, in Markdown."""
    measured = rows.read(STUDY / RESULTS)
    measured = measured[(measured["variant"] == "full") & (measured["source"] == "*")]
    by_seed = measured.pivot(index="seed", columns=["metric", "mode", "target"], values="value")
    metrics = by_seed.columns.get_level_values("metric")
    declared = experiments.load("critters").margins
    margins = gate.margins(declared=declared)

    def scale(shares: Mapping[str, float]) -> tuple[Array, Array]:
        """On the gate's scale, each line's values by seed, and what it loses when its metric gets worse by a share."""
        sides = [scale_sides(key[0], by_seed[key], by_seed[key], shares[key[0]]) for key in by_seed]
        return np.stack([values for values, _, _ in sides], 1), np.array([lost for _, _, lost in sides])

    values, margin = scale(margins)
    deviations = values - values.mean(0)
    beyond = {metric: share + _BEYOND_MARGIN for metric, share in margins.items()}
    lines = []
    for seeds in (3, 5, 8, 12, 20):
        for worse in (None, *declared):
            effect = (metrics == worse) * scale(beyond)[1]
            found = simulate(deviations, margin, effect, seeds, paired=True, trials=1000)
            by = f"{worse} {beyond[worse]:.0%}" if worse else "nothing"
            lines.append((str(seeds), by, *(f"{found[word]:.1%}" for word in _VERDICTS)))
    return markdown(("seeds", "worse by", *_VERDICTS), lines)
