"""Loss terms (paper, section 2, equations 1-6), each a mean over the batch. Logits (N,), images (N, 3, S, S)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def adversarial(logits: Tensor, real: bool, objective: str = "logistic") -> Tensor:
    """Return the cross-entropy of logits for real or fake images (equation 1); `wasserstein`: the critic's mean."""
    signed = float32(-logits if real else logits)
    return (F.softplus(signed) if objective == "logistic" else signed).mean()


def r1(logits: Tensor, images: Tensor) -> Tensor:
    """Return half the squared norm of the logits' gradient at real images, which must require gradients."""
    return 0.5 * _gradient(logits, images).square().sum(1).mean()


def gradient_penalty(logits: Tensor, images: Tensor) -> Tensor:
    """Return the squared difference from 1 of the norm of the logits' gradient, at images between real and fake.

    Gulrajani et al., *Improved Training of Wasserstein GANs* (2017), equation 3.
    """
    penalty: Tensor = (_gradient(logits, images).norm(dim=1) - 1).square().mean()
    return penalty


def _gradient(logits: Tensor, images: Tensor) -> Tensor:
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return gradient.flatten(1)


def l1(a: Tensor, b: Tensor) -> Tensor:
    """Return the mean absolute difference: style reconstruction, diversity, cycle (equations 2-4)."""
    return (float32(a) - float32(b)).abs().mean()


def float32(x: Tensor) -> Tensor:
    """Convert bfloat16 outputs of networks to float32."""
    return x.float() if x.dtype == torch.bfloat16 else x


def diversity_weight(start: float, step: int, ds_steps: int) -> float:
    """Return the weight of the diversity term at a step: linear from `start` at step 0 to 0 at `ds_steps`, then 0."""
    return start * max(0.0, 1 - step / ds_steps)
