"""2-D convolutions whose gradient for the input can be differentiated fast on a GPU, as R1 needs."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Conv2d(nn.Conv2d):
    """A convolution without dilation or groups, computed by `conv2d`."""

    def forward(self, x: Tensor) -> Tensor:
        return conv2d(x, self.weight, self.bias, self.stride[0], int(self.padding[0]))


def conv2d(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int = 1, padding: int = 0) -> Tensor:
    """Convolve (N, in, H, W) with (out, in, k, k), and add the bias (out,)."""
    if x.is_cuda and x.requires_grad and not torch.is_autocast_enabled("cuda"):
        convolved: Tensor = TwiceDifferentiable.apply(x, weight, bias, stride, padding)
        return convolved
    return F.conv2d(x, weight, bias, stride, padding)


class TwiceDifferentiable(torch.autograd.Function):
    """A convolution whose gradient for the input is a transposed convolution.

    Differentiating that again takes the weight's gradient by cuDNN's kernel for it. Torch's double backward takes it by
    a convolution with kernels as large as the image: a quarter of a training step at the paper's size.

    Only the gradient for the input can be differentiated again: with `create_graph`, weight and bias get none.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.has_bias, ctx.stride, ctx.padding = bias is not None, stride, padding
        return F.conv2d(x, weight, bias, stride, padding)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,), (x, weight) = gradients, ctx.saved_tensors
        for_input = for_weight = for_bias = None
        if ctx.needs_input_grad[0]:
            side = (gradient.shape[2] - 1) * ctx.stride - 2 * ctx.padding + weight.shape[2]
            left_over = x.shape[2] - side  # rows that no position of the kernel reached
            for_input = F.conv_transpose2d(gradient, weight, None, ctx.stride, ctx.padding, left_over)
        if ctx.needs_input_grad[1] and not torch.is_grad_enabled():
            place, wanted = ([ctx.stride] * 2, [ctx.padding] * 2, [1, 1]), [False, True, ctx.has_bias]
            biases = [weight.shape[0]] if ctx.has_bias else None
            backward = torch.ops.aten.convolution_backward
            _, for_weight, for_bias = backward(gradient, x, weight, biases, *place, False, [0, 0], 1, wanted)
        return for_input, for_weight, for_bias, None, None
