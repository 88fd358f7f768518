"""Fidelity and coverage apart: which fakes lie among the real images, and which real images the fakes reach.

Around each image of a set lies a ball that reaches to its k-th nearest neighbour in the set. Precision and recall
(Kynkäänniemi et al. 2019, equations 1-2, k = 3), density and coverage (Naeem et al. 2020, equations 4-5, k = 5).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Kept = NDArray[np.bool_]

_ROWS = 1000
_GROUPS = 10


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
    everything = np.ones(len(real), bool), np.ones(len(fake), bool)
    return Manifold(*_shares(real, fake, [everything], k, k_density)[0])


def influences(
    real: NDArray[np.floating], fake: NDArray[np.floating], outputs: int = 1
) -> tuple[Manifold, list[Array], list[Array]]:
    """The shares, and by how much each tenth of the real images and each tenth of the sources moves each of the four.

    By the jackknife that leaves out a group at a time: radii change with their neighbours, so single images have no
    simple influence. `fake` has the outputs of a source in a row. Raises ValueError if, without a group, a side has no
    k-th neighbour.
    """
    real_group, fake_group = _groups(len(real), 1), _groups(len(fake), outputs)
    all_real, all_fake = np.ones(len(real), bool), np.ones(len(fake), bool)
    kept = [(all_real, all_fake)]
    kept += [(real_group != group, all_fake) for group in range(real_group.max() + 1)]
    kept += [(all_real, fake_group != group) for group in range(fake_group.max() + 1)]
    shares = _shares(real, fake, kept, 3, 5)
    without_real, without_fake = np.split(shares[1:], [real_group.max() + 1])
    return Manifold(*shares[0]), list(_jackknife(without_real)), list(_jackknife(without_fake))


def enough(real: int, sources: int, outputs: int) -> bool:
    """Whether there are enough images for `influences`."""
    sides = (real, 1), (sources, outputs)
    return all((units - -(-units // min(units, _GROUPS))) * images >= 6 for units, images in sides)


def _groups(count: int, outputs: int) -> NDArray[np.int64]:
    unit = np.arange(count) // outputs
    groups: NDArray[np.int64] = unit % min(_GROUPS, unit[-1] + 1)
    return groups


def _jackknife(without: Array) -> Array:
    """Values without each group (groups, 4) -> influence of each group on each value (4, groups)."""
    influence: Array = (without.mean(0) - without).T * (1 - 1 / len(without))
    return influence


def _shares(
    real: NDArray[np.floating],
    fake: NDArray[np.floating],
    kept: Sequence[tuple[Kept, Kept]],
    k: int,
    k_density: int,
) -> Array:
    """The four shares (len(kept), 4) of each pair of subsets."""
    needed = max(k, k_density) + 1
    if (fewest := min(int(side.sum()) for pair in kept for side in pair)) < needed:
        raise ValueError(f"precision, recall, density and coverage need {needed} images on each side, got {fewest}")
    x, y = np.asarray(real, np.float64), np.asarray(fake, np.float64)
    real_radii = _radii(x, [pair[0] for pair in kept], (k, k_density))
    fake_radii = _radii(y, [pair[1] for pair in kept], (k,))
    inside_real = np.zeros((len(kept), len(y)), bool)
    recalled, covered, balls = (np.zeros(len(kept)) for _ in range(3))
    for start in range(0, len(x), _ROWS):
        rows = slice(start, start + _ROWS)
        squared = _squared_distances(x[rows], y)
        for number, (of_real, of_fake) in enumerate(kept):
            some = of_real[rows]
            near = squared[some][:, of_fake]
            inside_real[number, of_fake] |= (near <= real_radii[number, 0, rows][some, None]).any(0)
            recalled[number] += (near <= fake_radii[number, 0, of_fake]).any(1).sum()
            in_ball = near <= real_radii[number, 1, rows][some, None]
            covered[number] += in_ball.any(1).sum()
            balls[number] += in_ball.sum()
    n, m = np.array([[of_real.sum(), of_fake.sum()] for of_real, of_fake in kept]).T
    shares: Array = np.stack([inside_real.sum(1) / m, recalled / n, balls / (k_density * m), covered / n], 1)
    return shares


def _radii(features: Array, kept: Sequence[Kept], ks: Sequence[int]) -> Array:
    """Squared distance of each feature to its k-th nearest other in each subset, (len(kept), len(ks), n)."""
    radii = np.empty((len(kept), len(ks), len(features)))
    for start in range(0, len(features), _ROWS):
        rows = slice(start, start + _ROWS)
        squared = _squared_distances(features[rows], features)
        squared[np.arange(len(squared)), np.arange(start, start + len(squared))] = 0
        known: dict[int, Array] = {}
        for number, subset in enumerate(kept):
            if id(subset) not in known:
                known[id(subset)] = np.partition(squared[:, subset], ks, axis=1)[:, ks].T
            radii[number, :, rows] = known[id(subset)]
    return radii


def _squared_distances(a: Array, b: Array) -> Array:
    squared: Array = np.square(a).sum(1)[:, None] + np.square(b).sum(1) - 2 * (a @ b.T)
    return squared.clip(min=0)
