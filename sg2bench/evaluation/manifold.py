"""Fidelity and coverage apart: which fakes lie among the real images, and which real images the fakes reach.

Around each image of a set lies a ball that reaches to its k-th nearest neighbour in the set. Precision and recall
(Kynkäänniemi et al. 2019, equations 1-2, k = 3), density and coverage (Naeem et al. 2020, equations 4-5, k = 5).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_ROWS = 1000


class Manifold(NamedTuple):
    precision: float
    """Share of fakes inside some real image's ball."""
    recall: float
    """Share of real images inside some fake's ball."""
    density: float
    """Mean number of real images' balls that a fake lies in, over k; may exceed 1. Outliers count little."""
    coverage: float
    """Share of real images whose ball holds a fake."""


def manifold(real: NDArray[np.floating], fake: NDArray[np.floating], k: int = 3, k_density: int = 5) -> Manifold:
    """The four shares of features (n, d) and (m, d). Raises ValueError if a side has no k-th neighbour."""
    needed = max(k, k_density) + 1
    if (fewest := min(len(real), len(fake))) < needed:
        raise ValueError(f"precision, recall, density and coverage need {needed} images on each side, got {fewest}")
    x, y = np.asarray(real, np.float64), np.asarray(fake, np.float64)
    real_k, real_density = _radii(x, k, k_density)
    (fake_k,) = _radii(y, k)
    inside_real, inside_fake = np.zeros(len(y), bool), np.zeros(len(x), bool)
    covered, balls = np.zeros(len(x), bool), 0
    for start in range(0, len(x), _ROWS):
        rows = slice(start, start + _ROWS)
        squared = _squared_distances(x[rows], y)
        inside_real |= (squared <= real_k[rows, None]).any(0)
        inside_fake[rows] = (squared <= fake_k).any(1)
        in_ball = squared <= real_density[rows, None]
        covered[rows] = in_ball.any(1)
        balls += int(in_ball.sum())
    return Manifold(
        float(inside_real.mean()), float(inside_fake.mean()), balls / (k_density * len(y)), float(covered.mean())
    )


def _radii(features: Array, *ks: int) -> list[Array]:
    """For each k the squared distance of each feature to its k-th nearest other, (n,)."""
    parts = []
    for start in range(0, len(features), _ROWS):
        squared = _squared_distances(features[start : start + _ROWS], features)
        squared[np.arange(len(squared)), np.arange(start, start + len(squared))] = 0
        parts.append(np.partition(squared, ks, axis=1)[:, ks])
    return list(np.concatenate(parts).T)


def _squared_distances(a: Array, b: Array) -> Array:
    squared: Array = np.square(a).sum(1)[:, None] + np.square(b).sum(1) - 2 * (a @ b.T)
    return squared.clip(min=0)
