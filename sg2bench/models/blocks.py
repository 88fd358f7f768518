"""Residual blocks of all networks (paper, appendix: network architecture)."""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sg2bench.models.convolution import Conv2d, conv2d

SLOPE = 0.2
_UNIT = 1 / math.sqrt(2)
"""Factor that keeps the variance of a sum of two. Applied in place: on a CPU, new memory costs more than the sum."""


def activate(x: Tensor, inplace: bool = False) -> Tensor:
    """Apply leaky ReLU. If in place, autograd keeps one tensor for this layer and the next instead of two."""
    return F.leaky_relu(x, SLOPE, inplace)


def avg_pool2(x: Tensor) -> Tensor:
    """Average-pool 2x2. Adding views takes 40 to 60 % of the time of torch's pooling kernel, on a GPU and on a CPU."""
    n, c, h, w = x.shape
    top, bottom = x.reshape(n, c, h // 2, 2, w).unbind(3)
    left, right = (top + bottom).view(n, c, h // 2, w // 2, 2).unbind(4)
    return (left + right) * 0.25


def upsample2(x: Tensor) -> Tensor:
    """Upsample by 2, nearest neighbour. Stacking takes a third of the time of torch's interpolation kernel on a CPU; on
    a GPU, autocast would run that kernel in float32.
    """
    n, c, h, w = x.shape
    x = torch.stack((x, x), 4).view(n, c, h, 2 * w)
    return torch.stack((x, x), 3).view(n, c, 2 * h, 2 * w)


class SpreadConv2d(Conv2d):
    """A 3x3 convolution that can be fused with the pooling after it, or with the upsampling before it."""

    places: Tensor

    def __init__(self, dim_in: int, dim_out: int) -> None:
        super().__init__(dim_in, dim_out, 3, padding=1)
        places = torch.zeros(3, 3, 4, 4)
        for row, column, down, right in itertools.product(range(3), range(3), range(2), range(2)):
            places[row, column, row + down, column + right] = 1
        self.register_buffer("places", places.view(9, 16), persistent=False)

    def spread(self) -> Tensor:
        """Return the sum of the kernel at the four positions of a 2x2 square: (out, in, 4, 4).

        A product with a constant takes a quarter of the time of padding and adding, forward and backward.
        """
        with torch.autocast(self.weight.device.type, enabled=False):  # autocast would round weights before the sum
            return torch.mm(self.weight.reshape(-1, 9), self.places).view(*self.weight.shape[:2], 4, 4)


def conv_avg_pool2(conv: SpreadConv2d, x: Tensor) -> Tensor:
    """Compute `avg_pool2(conv(x))` as one 4x4 convolution of stride 2: four ninths of the work, and no full-size result
    to keep.
    """
    return conv2d(x, conv.spread() * 0.25, conv.bias, stride=2, padding=1)


def upsample2_conv(conv: SpreadConv2d, x: Tensor) -> Tensor:
    """Compute `conv(upsample2(x))` as one transposed 4x4 convolution of stride 2, for the same reasons."""
    weight = conv.spread().flip(2, 3).transpose(0, 1)
    return F.conv_transpose2d(x, weight, conv.bias, stride=2, padding=1)


class InstanceNorm(nn.GroupNorm):
    """Instance norm with scale and shift per channel, under the parameter names of the published checkpoints."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return _instance_norm(x, self.weight, self.bias)


def _instance_norm(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Normalise each channel of each sample, by group norm, whose kernel is faster on a CPU.

    Instance norm handles bfloat16: autocast on a GPU would make and keep float32 copies for group norm, whereas
    instance norm keeps only means and deviations in float32.
    """
    if x.dtype == torch.bfloat16:
        return F.instance_norm(x, weight=weight.float(), bias=bias.float())
    return F.group_norm(x, x.shape[1], weight, bias)


class Encoded(NamedTuple):
    """A source image as input of the generator's decoder; it does not depend on the style."""

    features: Tensor
    skips: dict[int, Tensor]
    """Masked, high-passed features by their side in pixels; empty without high-pass skips."""

    def detach(self) -> Encoded:
        return Encoded(self.features.detach(), {side: skip.detach() for side, skip in self.skips.items()})

    def repeat_interleave(self, repeats: int) -> Encoded:
        """Repeat each source `repeats` times in a row."""
        return Encoded(
            self.features.repeat_interleave(repeats, 0),
            {side: skip.repeat_interleave(repeats, 0) for side, skip in self.skips.items()},
        )


class ResBlock(nn.Module):
    """Pre-activation residual block: (N, in, H, W) -> (N, out, H, W) or half as high and wide, scaled by 1/sqrt(2)."""

    def __init__(self, dim_in: int, dim_out: int, normalize: bool = False, downsample: bool = False) -> None:
        super().__init__()
        self.downsample = downsample
        self.normalize = normalize
        self.conv1 = SpreadConv2d(dim_in, dim_in) if downsample else Conv2d(dim_in, dim_in, 3, padding=1)
        self.conv2 = Conv2d(dim_in, dim_out, 3, padding=1)
        if normalize:
            self.norm1 = InstanceNorm(dim_in)
            self.norm2 = InstanceNorm(dim_in)
        self.learned_shortcut = dim_in != dim_out
        if self.learned_shortcut:
            self.conv1x1 = Conv2d(dim_in, dim_out, 1, bias=False)

    def _shortcut(self, x: Tensor) -> Tensor:
        # A 1x1 convolution and a mean of pixels commute; pooling first costs a quarter.
        x = avg_pool2(x) if self.downsample else x
        return self.conv1x1(x) if self.learned_shortcut else x

    def _residual(self, x: Tensor) -> Tensor:
        x = activate(self.norm1(x), inplace=True) if self.normalize else activate(x)
        x = conv_avg_pool2(self.conv1, x) if isinstance(self.conv1, SpreadConv2d) else self.conv1(x)
        residual: Tensor = self.conv2(activate(self.norm2(x) if self.normalize else x, inplace=True))
        return residual

    def forward(self, x: Tensor) -> Tensor:
        return self._residual(x).add_(self._shortcut(x)).mul_(_UNIT)


class AdaIN(nn.Module):
    """Adaptive instance norm `(1 + gamma) * instance_norm(x) + beta`, gamma and beta linear in the style (gamma first).

    x (N, C, H, W), style (N, style_dim) -> (N, C, H, W).
    """

    def __init__(self, style_dim: int, channels: int) -> None:
        super().__init__()
        self.fc = nn.Linear(style_dim, 2 * channels)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        gamma, beta = self.fc(style).chunk(2, dim=1)
        n, c, h, w = x.shape
        # One kernel normalises and scales all samples at once, and autograd keeps only x.
        normed = _instance_norm(x.reshape(1, n * c, h, w), 1 + gamma.flatten(), beta.flatten())
        # Autograd must not see a view: it would copy the gradients of a view that is activated in place.
        styled: Tensor = torch.ops.aten._unsafe_view(normed, x.shape)
        return styled


class AdaINResBlock(nn.Module):
    """Residual block with AdaIN: (N, in, H, W), (N, style_dim) -> (N, out, H, W), or twice as high and wide.

    With `high_pass` the block has neither shortcut nor scaling; its 1x1 weights stay in the state dict, unused.
    """

    def __init__(
        self, dim_in: int, dim_out: int, style_dim: int, upsample: bool = False, high_pass: bool = False
    ) -> None:
        super().__init__()
        self.upsample = upsample
        self.high_pass = high_pass
        self.conv1 = SpreadConv2d(dim_in, dim_out) if upsample else Conv2d(dim_in, dim_out, 3, padding=1)
        self.conv2 = Conv2d(dim_out, dim_out, 3, padding=1)
        self.norm1 = AdaIN(style_dim, dim_in)
        self.norm2 = AdaIN(style_dim, dim_out)
        self.learned_shortcut = dim_in != dim_out
        if self.learned_shortcut:
            self.conv1x1 = Conv2d(dim_in, dim_out, 1, bias=False)

    def _shortcut(self, x: Tensor) -> Tensor:
        # A 1x1 convolution and nearest upsampling commute; convolving first costs a quarter.
        x = self.conv1x1(x) if self.learned_shortcut else x
        return upsample2(x) if self.upsample else x

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        x_normed = activate(self.norm1(x, style), inplace=True)
        hidden = upsample2_conv(self.conv1, x_normed) if isinstance(self.conv1, SpreadConv2d) else self.conv1(x_normed)
        residual: Tensor = self.conv2(activate(self.norm2(hidden, style), inplace=True))
        if self.high_pass:
            return residual
        return residual.add_(self._shortcut(x)).mul_(_UNIT)


def he_initialize(network: nn.Module) -> nn.Module:
    """Initialise convolutions and linear layers in place: He's method (fan-in, relu), biases zero."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return network
