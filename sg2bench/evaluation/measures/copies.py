"""Copies of training images among outputs: a three-sample test (Meehan, Chaudhuri and Dasgupta 2020)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from sg2bench.evaluation.measures.base import HELD_OUT, Fake, FeatureMeasure, Pooled, Real, mean_of_outputs
from sg2bench.evaluation.measures.manifold import nearest
from sg2bench.evaluation.uncertainty import Array, Estimate


def gap(to_training: Array, held_out_to_training: Array) -> tuple[float, Array, Array]:
    """Compare the distances of fakes (n,) and of held-out real images (m,) to the nearest training image.

    Returns P(fake > held-out) - 1/2 by the Mann-Whitney statistic, where ties count half: 0 if fakes are as far away as
    held-out images, -1/2 if all are nearer. Also returns the contributions of each fake (n,) and of each held-out image
    (m,); the mean of either is the value.
    """
    of_fake = _share_below(to_training, held_out_to_training) - 0.5
    of_held_out = 0.5 - _share_below(held_out_to_training, to_training)
    return float(of_fake.mean()), of_fake, of_held_out


def _share_below(values: Array, others: Array) -> Array:
    """Return, for each value (n,), the share of `others` that are smaller; ties count half."""
    ordered = np.sort(others)
    smaller, not_larger = (np.searchsorted(ordered, values, side) for side in ("left", "right"))
    share: Array = (smaller + not_larger) / (2 * len(ordered))
    return share


def unit(features: Pooled) -> Pooled:
    """Scale features (n, d) to length 1."""
    scaled: Pooled = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    return scaled


def _distances(features: Pooled, training: Pooled) -> Array:
    """Return the distances to the nearest training image, between features of length 1."""
    return nearest(unit(features), unit(training))


class Measure(FeatureMeasure):
    """`gap`, clipped at 0: outputs farther from training images than real images are not copies."""

    @classmethod
    def compare(cls, quantities: Collection[str], real: Real, fake: Fake) -> dict[str, Estimate]:
        assert real.all_domains is not None
        held_out = _distances(real.all_domains.held_out(real.domain), real.features)
        value, of_fake, of_held_out = gap(_distances(fake.features, real.features), held_out)
        estimate = mean_of_outputs(of_fake.reshape(-1, fake.outputs), fake.references)
        influence = {**estimate.influence, HELD_OUT: (of_held_out - value) / len(of_held_out)}
        sources = len(fake.features) // fake.outputs
        least = 1.5 / min(len(held_out), sources)  # half of the rule of three for shares
        shown = min(round(value, 12), 0.0) + 0.0  # removes rounding errors and the sign of -0.0
        return {"gap": replace(estimate, value=shown, influence=influence, least=least, bounds=(-0.5, 0.0))}
