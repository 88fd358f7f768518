"""Whether outputs are copied from training images: a test of three samples (Meehan, Chaudhuri and Dasgupta 2020)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from sg2bench.evaluation.measures.base import HELD_OUT, Fake, FeatureMeasure, Pooled, Real, mean_of_outputs
from sg2bench.evaluation.measures.manifold import nearest
from sg2bench.evaluation.uncertainty import Array, Estimate


def gap(to_training: Array, held_out_to_training: Array) -> tuple[float, Array, Array]:
    """Compare distances to the nearest training image, of fakes (n,) and of held-out real images (m,).

    Returns P(fake > held-out) - 1/2 by Mann and Whitney's statistic, ties counting half: 0 if fakes lie as far away as
    held-out images do, -1/2 if all lie nearer. Also returns each fake's (n,) and each held-out image's (m,) share in
    it; the mean of either is the value.
    """
    of_fake = _share_below(to_training, held_out_to_training) - 0.5
    of_held_out = 0.5 - _share_below(held_out_to_training, to_training)
    return float(of_fake.mean()), of_fake, of_held_out


def _share_below(values: Array, others: Array) -> Array:
    """Of each value (n,), the share of the others that are smaller; equal ones count half."""
    ordered = np.sort(others)
    smaller, not_larger = (np.searchsorted(ordered, values, side) for side in ("left", "right"))
    share: Array = (smaller + not_larger) / (2 * len(ordered))
    return share


def unit(features: Pooled) -> Pooled:
    """Features (n, d) of length 1."""
    scaled: Pooled = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    return scaled


def _distances(features: Pooled, training: Pooled) -> Array:
    """To the nearest training image, by the angle between features."""
    return nearest(unit(features), unit(training))


class Measure(FeatureMeasure):
    """`gap`, at most 0: outputs that lie farther from training images than real ones do are not copied."""

    @classmethod
    def compare(cls, quantities: Collection[str], real: Real, fake: Fake) -> dict[str, Estimate]:
        assert real.everyone is not None
        held_out = _distances(real.everyone.held_out(real.domain), real.features)
        value, of_fake, of_held_out = gap(_distances(fake.features, real.features), held_out)
        estimate = mean_of_outputs(of_fake.reshape(-1, fake.outputs), fake.references)
        influence = {**estimate.influence, HELD_OUT: (of_held_out - value) / len(of_held_out)}
        sources = len(fake.features) // fake.outputs
        least = 1.5 / min(len(held_out), sources)  # half the rule of three, as for a share of copies
        shown = min(round(value, 12), 0.0) + 0.0  # no rounding, and no sign of -0.0
        return {"gap": replace(estimate, value=shown, influence=influence, least=least, bounds=(-0.5, 0.0))}
