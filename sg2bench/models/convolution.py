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
    """Convolve (N, in, H, W) with (out, in, k, k), and add the bias (out,).

    A kernel as large as the image has a single position: a matrix product does the same, with less overhead.
    """
    if x.shape[2:] == weight.shape[2:] and not padding:
        product = F.linear(x.flatten(1), weight.flatten(1), bias)
        # Autograd must not see a view: it would copy the gradients of a view that is activated in place.
        whole: Tensor = torch.ops.aten._unsafe_view(product, (*product.shape, 1, 1))
        return whole
    if x.is_cuda and x.requires_grad and not torch.is_autocast_enabled("cuda"):
        convolved: Tensor = TwiceDifferentiable.apply(x, weight, bias, stride, padding)
        return convolved
    return F.conv2d(x, weight, bias, stride, padding)


class TwiceDifferentiable(torch.autograd.Function):
    """A convolution whose gradient for the input is a transposed convolution.

    The derivative of that uses cuDNN's kernel for a weight's gradient. Torch's own double backward uses a convolution
    with kernels as large as the image, which took a quarter of a training step at the paper's size.

    Only the gradient for the input can be differentiated again: with `create_graph`, weight and bias get none.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, stride: int, padding: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.padding = stride, padding
        return F.conv2d(x, weight, bias, stride, padding)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,), (x, weight), stride, padding = gradients, ctx.saved_tensors, ctx.stride, ctx.padding
        for_input = for_weight = for_bias = None
        if ctx.needs_input_grad[0]:
            sides = zip(x.shape[2:], gradient.shape[2:], weight.shape[2:], strict=True)
            # Rows and columns at the end that no position of the kernel reached.
            left_over = [side + 2 * padding - (count - 1) * stride - kernel for side, count, kernel in sides]
            for_input = F.conv_transpose2d(gradient, weight, None, stride, padding, left_over)
        wanted = [False, *ctx.needs_input_grad[1:3]]
        if any(wanted) and not torch.is_grad_enabled():
            geometry = [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], 1
            backward = torch.ops.aten.convolution_backward
            _, for_weight, for_bias = backward(gradient, x, weight, [weight.shape[0]], *geometry, wanted)
        return for_input, for_weight, for_bias, None, None
