"""LPIPS (Zhang et al. 2018, equation 1) of all pairs of a source's outputs, in one pass.

For unit-normalised features f_1 … f_n and head weights w, the mean of `w · (f_i - f_j)^2` over all pairs is
`2 w · (unbiased variance of the f)`. So no pair needs to be formed.
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
    """Return the mean pairwise LPIPS of each source's outputs, float64 (N,).

    `activations` per layer (N * outputs, C, H, W), the outputs of a source in a row; `heads` per layer (C,).
    """
    total = torch.zeros(len(activations[0]) // outputs, dtype=torch.float64, device=activations[0].device)
    for layer, head in zip(activations, heads, strict=True):
        unit = _unit(layer)
        unit = unit.view(-1, outputs, *unit.shape[1:])
        unit = unit - unit[:, :1]  # same variance, but exactly 0 for equal outputs
        squares = unit.sub_(unit.mean(1, keepdim=True)).square_().sum((1, 2))  # faster than torch's var
        total += (squares.double() @ head.double()) * (2 / (outputs - 1) / unit.shape[2])
    return total


def distance(a: Sequence[Tensor], b: Sequence[Tensor], heads: Sequence[Tensor]) -> Tensor:
    """Return LPIPS between images, float64 (N * k,), from activations per layer.

    `a` has (N * k, C, H, W) and `b` (N, C, H, W), each compared with k of `a` in a row.
    """
    total = torch.zeros(len(a[0]), dtype=torch.float64, device=a[0].device)
    for one, other, head in zip(a, b, heads, strict=True):
        unit, compared = _unit(one), _unit(other)
        difference = unit.view(len(compared), -1, *unit.shape[1:]).sub_(compared[:, None])
        total += difference.square_().mean(2).flatten(0, 1).double() @ head.double()
    return total


def _unit(layer: Tensor) -> Tensor:
    """Scale features to length 1 at each pixel, (N, C, H, W) -> (N, H * W, C)."""
    pixels = layer.permute(0, 2, 3, 1).flatten(1, 2).contiguous()
    length: Tensor = torch.linalg.vector_norm(pixels, dim=2, keepdim=True)
    return pixels / (length + 1e-10)


class Measure(base.Measure):
    """`diversity`: mean pairwise LPIPS of a source's outputs."""

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
        """Return the weight of each source: equal, or as published equal per batch, even for a short last batch."""
        step = self.task.evaluate.batch_size if self.task.evaluate.as_published else sources
        sizes = [min(step, sources - start) for start in range(0, sources, step)]
        return np.concatenate([np.full(size, 1 / (size * len(sizes))) for size in sizes])
