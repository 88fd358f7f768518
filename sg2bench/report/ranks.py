"""Ranks, as far as comparisons over seeds decide them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from sg2bench.rows.effects import SIGNIFICANCE, compare_rows
from sg2bench.statistics import holm


def ranks(models: Sequence[pd.DataFrame]) -> list[tuple[int, int]]:
    """Return the best and the worst possible rank of each model, from its rows of one metric, one per seed.

    Every two models are compared as effects are. A model ranks behind those that are significantly better and ahead of
    those that are significantly worse: p < 0.05 after Holm's correction for all pairs. A single seed decides nothing.
    """
    pairs = list(combinations(range(len(models)), 2))
    effects = [compare_rows(models[a], models[b], models[a]["metric"].iloc[0]) for a, b in pairs]
    better = np.zeros((len(models), len(models)), bool)
    for pair, effect, p in zip(pairs, effects, holm(np.array([effect.p for effect in effects])), strict=True):
        if p < SIGNIFICANCE:
            better[pair if effect.direction == "better" else pair[::-1]] = True
    best, worst = 1 + better.sum(0), len(models) - better.sum(1)
    return list(zip(best.tolist(), worst.tolist(), strict=True))
