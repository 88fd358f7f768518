"""LPIPS (Zhang et al. 2018, equation 1) of all pairs of a source's outputs, in one pass.

For unit-normalised features f_1 … f_n and head weights w, the mean over the pairs of `w · (f_i - f_j)^2` is
`2 w · (unbiased variance of the f)`: no pair is ever formed.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def diversity(activations: Sequence[Tensor], heads: Sequence[Tensor], outputs: int) -> Tensor:
    """Mean pairwise LPIPS of each source's outputs, float64 (N,).

    `activations` per layer (N * outputs, C, H, W), the outputs of a source in a row; `heads` per layer (C,).
    """
    total = torch.zeros(len(activations[0]) // outputs, dtype=torch.float64, device=activations[0].device)
    for layer, head in zip(activations, heads, strict=True):
        unit = layer / (layer.square().sum(1, keepdim=True).sqrt() + 1e-10)
        unit = unit.view(-1, outputs, *unit.shape[1:])
        unit = unit - unit[:, :1]  # the same variance, and exactly 0 for equal outputs
        variance = (unit - unit.mean(1, keepdim=True)).square().sum(1) / (outputs - 1)  # torch's var takes 3 times this
        total += 2 * (variance.mean((2, 3)).double() @ head.double())
    return total
