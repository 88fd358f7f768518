"""LPIPS (Zhang et al. 2018, equation 1) of all pairs of a source's outputs, in one pass.

For unit-normalised features f_1 … f_n and head weights w, the mean over the pairs of `w · (f_i - f_j)^2` is
`2 w · (unbiased variance of the f)`: no pair is ever formed.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sg2bench.evaluation.extractors import AlexNet
from sg2bench.evaluation.measures import base
from sg2bench.evaluation.measures.base import FAKE, Batch, Task
from sg2bench.evaluation.uncertainty import Array, Estimate, average


def diversity(activations: Sequence[Tensor], heads: Sequence[Tensor], outputs: int) -> Tensor:
    """Mean pairwise LPIPS of each source's outputs, float64 (N,).

    `activations` per layer (N * outputs, C, H, W), the outputs of a source in a row; `heads` per layer (C,).
    """
    total = torch.zeros(len(activations[0]) // outputs, dtype=torch.float64, device=activations[0].device)
    for layer, head in zip(activations, heads, strict=True):
        unit = _unit(layer)
        unit = unit.view(-1, outputs, *unit.shape[1:])
        unit = unit - unit[:, :1]  # the same variance, and exactly 0 for equal outputs
        variance = (unit - unit.mean(1, keepdim=True)).square().sum(1) / (outputs - 1)  # torch's var takes 3 times this
        total += 2 * (variance.mean((2, 3)).double() @ head.double())
    return total


def distance(a: Sequence[Tensor], b: Sequence[Tensor], heads: Sequence[Tensor]) -> Tensor:
    """LPIPS between images, float64 (N,), by their activations per layer (N, C, H, W)."""
    total = torch.zeros(len(a[0]), dtype=torch.float64, device=a[0].device)
    for one, other, head in zip(a, b, heads, strict=True):
        difference = (_unit(one) - _unit(other)).square().mean((2, 3))
        total += difference.double() @ head.double()
    return total


def _unit(layer: Tensor) -> Tensor:
    return layer / (layer.square().sum(1, keepdim=True).sqrt() + 1e-10)


class Measure(base.Measure):
    """`diversity`."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self._each: list[NDArray[np.float64]] = []

    def look_at(self, batch: Batch) -> None:
        heads = cast(AlexNet, self.task.network).heads
        each = diversity(batch.features(self.task).layers, heads, self.task.outputs)
        self._each.append(each.cpu().numpy())

    def estimates(self, quantities: Collection[str]) -> dict[str, Estimate]:
        weights = self._weights(len(self.order))
        estimate = average(self.by_source(self._each)[:, 0], weights[self.order], FAKE)
        return {"diversity": replace(estimate, bounds=(0.0, np.inf))}

    def _weights(self, sources: int) -> Array:
        """What each source counts: the same; as published, each batch the same, a short last one as much as others."""
        step = self.task.evaluate.batch_size if self.task.evaluate.as_published else sources
        sizes = [min(step, sources - start) for start in range(0, sources, step)]
        return np.concatenate([np.full(size, 1 / (size * len(sizes))) for size in sizes])
