"""The metrics on pooled features, by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sg2bench.evaluation import frechet, kernel
from sg2bench.evaluation.manifold import Manifold, manifold


@dataclass(frozen=True)
class Real:
    """A domain's training images: features (n, d) and their statistics."""

    features: NDArray[np.float32]
    statistics: frechet.Statistics


def measure(metrics: Sequence[str], real: Real, fake: NDArray[np.float32]) -> dict[str, float]:
    """Values of metrics on the features of one network; all shares of the manifold come from one computation.

    Raises ValueError if there are too few images, with the number needed.
    """
    values = {}
    shares = manifold(real.features, fake) if set(metrics) & set(Manifold._fields) else None
    for metric in metrics:
        if shares is not None and metric in Manifold._fields:
            values[metric] = float(getattr(shares, metric))
        elif metric.startswith("k"):
            values[metric] = kernel.distance(real.features, fake)
        else:
            values[metric] = frechet.distance(real.statistics, fake)
    return values
