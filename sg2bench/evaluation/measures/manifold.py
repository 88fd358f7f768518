"""Fidelity and variety measured separately: which fakes lie among real images, and which real images lie among fakes.

Each image of a set has a ball that reaches to its k-th nearest neighbour in the set. Precision and recall
(Kynkäänniemi et al. 2019, equations 1-2, k = 3), density and coverage (Naeem et al. 2020, equations 4-5, k = 5).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sg2bench.evaluation.measures.base import FAKE, REAL, Fake, FeatureMeasure, Real
from sg2bench.evaluation.uncertainty import Array, Estimate

Kept = NDArray[np.bool_]

_ROWS = 1000
_GROUPS = 10


class Manifold(NamedTuple):
    precision: float
    """Share of fakes inside at least one real image's ball."""
    recall: float
    """Share of real images inside at least one fake's ball."""
    density: float
    """Mean number of real images' balls that contain a fake, over k; may exceed 1. Robust to outliers."""
    coverage: float
    """Share of real images whose ball contains a fake."""


def manifold(real: NDArray[np.floating], fake: NDArray[np.floating], k: int = 3, k_density: int = 5) -> Manifold:
    """Compute the four shares from features (n, d) and (m, d). Raises ValueError if a side has no k-th neighbour."""
    of_real, of_fake = [np.ones(len(real), bool)], [np.ones(len(fake), bool)]
    return Manifold(*_shares(real, fake, of_real, of_fake, [(0, 0)], k, k_density)[0])


def influences(
    real: NDArray[np.floating], fake: NDArray[np.floating], outputs: int = 1
) -> tuple[Manifold, list[Array], list[Array]]:
    """Return the shares, and the influence of each tenth of the real images and each tenth of the sources on them.

    Influences come from the jackknife that leaves out one group at a time: radii depend on neighbours, so single images
    have no simple influence. `fake` has the outputs of a source in a row. Raises ValueError if a side has no k-th
    neighbour once a group is left out.
    """
    real_group, fake_group = _groups(len(real), 1), _groups(len(fake), outputs)
    all_real, all_fake = np.ones(len(real), bool), np.ones(len(fake), bool)
    of_real = [all_real, *(real_group != group for group in range(real_group.max() + 1))]
    of_fake = [all_fake, *(fake_group != group for group in range(fake_group.max() + 1))]
    kept = [(number, 0) for number in range(len(of_real))] + [(0, number) for number in range(1, len(of_fake))]
    shares = _shares(real, fake, of_real, of_fake, kept, 3, 5)
    without_real, without_fake = np.split(shares[1:], [real_group.max() + 1])
    return Manifold(*shares[0]), list(_jackknife(without_real)), list(_jackknife(without_fake))


def enough(real: int, sources: int, outputs: int) -> bool:
    """Return whether there are enough images for `influences`."""
    sides = (real, 1), (sources, outputs)
    return all((units - -(-units // min(units, _GROUPS))) * images >= 6 for units, images in sides)


def _groups(count: int, outputs: int) -> NDArray[np.int64]:
    unit = np.arange(count) // outputs
    groups: NDArray[np.int64] = unit % min(_GROUPS, unit[-1] + 1)
    return groups


def _jackknife(without: Array) -> Array:
    """Turn values without each group (groups, 4) into the influence of each group on each value (4, groups)."""
    influence: Array = (without.mean(0) - without).T * (1 - 1 / len(without))
    return influence


def _shares(
    real: NDArray[np.floating],
    fake: NDArray[np.floating],
    of_real: Sequence[Kept],
    of_fake: Sequence[Kept],
    kept: Sequence[tuple[int, int]],
    k: int,
    k_density: int,
) -> Array:
    """Compute the four shares (len(kept), 4) of pairs of subsets, given by indices into `of_real` and `of_fake`."""
    needed = max(k, k_density) + 1
    if (fewest := min(int(side.sum()) for side in [*of_real, *of_fake])) < needed:
        raise ValueError(f"precision, recall, density and coverage need {needed} images on each side, got {fewest}")
    x, y = np.asarray(real, np.float64), np.asarray(fake, np.float64)
    real_radii, fake_radii = _radii(x, of_real, (k, k_density)), _radii(y, of_fake, (k,))
    inside_real = np.zeros((len(kept), len(y)), bool)
    recalled, covered, balls = (np.zeros(len(kept)) for _ in range(3))
    for start in range(0, len(x), _ROWS):
        rows = slice(start, start + _ROWS)
        squared = _squared_distances(x[rows], y)
        for number, (first, second) in enumerate(kept):
            some, others = of_real[first][rows], of_fake[second]
            near = squared[some][:, others]
            inside_real[number, others] |= (near <= real_radii[first, 0, rows][some, None]).any(0)
            recalled[number] += (near <= fake_radii[second, 0, others]).any(1).sum()
            in_ball = near <= real_radii[first, 1, rows][some, None]
            covered[number] += in_ball.any(1).sum()
            balls[number] += in_ball.sum()
    n, m = np.array([[of_real[first].sum(), of_fake[second].sum()] for first, second in kept]).T
    shares: Array = np.stack([inside_real.sum(1) / m, recalled / n, balls / (k_density * m), covered / n], 1)
    return shares


def _radii(features: Array, kept: Sequence[Kept], ks: Sequence[int]) -> Array:
    """Return squared distances of each feature to its k-th neighbour in each subset, (len(kept), len(ks), n)."""
    radii = np.empty((len(kept), len(ks), len(features)))
    for start in range(0, len(features), _ROWS):
        rows = slice(start, start + _ROWS)
        squared = _squared_distances(features[rows], features)
        squared[np.arange(len(squared)), np.arange(start, start + len(squared))] = 0
        for number, subset in enumerate(kept):
            radii[number, :, rows] = np.partition(squared[:, subset], ks, axis=1)[:, ks].T
    return radii


def _squared_distances(a: Array, b: Array) -> Array:
    squared: Array = np.square(a).sum(1)[:, None] + np.square(b).sum(1) - 2 * (a @ b.T)
    return squared.clip(min=0)


def nearest(features: NDArray[np.floating], others: NDArray[np.floating]) -> Array:
    """Return the distance (n,) of each feature (n, d) to the nearest of the others (m, d)."""
    x, y = np.asarray(features, np.float64), np.asarray(others, np.float64)
    parts = [_squared_distances(x[start : start + _ROWS], y).min(1) for start in range(0, len(x), _ROWS)]
    distances: Array = np.sqrt(np.concatenate(parts))
    return distances


class Measure(FeatureMeasure):
    """The four shares, by the names of `Manifold`."""

    @classmethod
    def compare(cls, quantities: Collection[str], real: Real, fake: Fake) -> dict[str, Estimate]:
        shares, each_real, each_fake = influences(real.features, fake.features, fake.outputs)
        least = 3 / min(len(real.features), len(fake.features) // fake.outputs)  # the rule of three
        return {
            name: Estimate(
                share,
                {REAL: each_real[index], FAKE: each_fake[index]},
                least=least,
                bounds=(0.0, np.inf if name == "density" else 1.0),
            )
            for index, (name, share) in enumerate(shares._asdict().items())
        }

    @staticmethod
    def shortage(quantity: str, real: int, sources: int, outputs: int, dim: int) -> str | None:
        if enough(real, sources, outputs):
            return None
        least = next(number for number in range(2, 8) if enough(7, number, outputs))
        return f"7 real images and {least} sources of every domain, got {real} and {sources}"
