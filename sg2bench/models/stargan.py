"""The generator of StarGAN (Choi et al., CVPR 2018, appendix), the first configuration of the paper's ablation."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sg2bench.models.blocks import Encoded, InstanceNorm, he_initialize


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm1 = InstanceNorm(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = InstanceNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        residual: Tensor = self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x)))))
        return x + residual


class StarGANGenerator(nn.Module):
    """StarGAN's generator: image (N, 3, S, S) and one-hot domain (N, K) -> image of that domain in [-1, 1].

    The label is concatenated to the image as K constant planes. Two strided convolutions, six residual blocks and two
    transposed convolutions follow, with instance norm after each, then tanh. Widths (64, 128, 256 in StarGAN) double
    from `first_width` up to `max_width`. The label enters at the first layer, so encoding returns just the image.
    """

    def __init__(self, num_domains: int, first_width: int, max_width: int) -> None:
        super().__init__()
        widths = [min(first_width * factor, max_width) for factor in (1, 2, 4)]
        layers: list[nn.Module] = [*_layer(nn.Conv2d(3 + num_domains, widths[0], 7, padding=3, bias=False))]
        for narrow, wide in ((widths[0], widths[1]), (widths[1], widths[2])):
            layers += _layer(nn.Conv2d(narrow, wide, 4, stride=2, padding=1, bias=False))
        layers += [_Residual(widths[2]) for _ in range(6)]
        for wide, narrow in ((widths[2], widths[1]), (widths[1], widths[0])):
            layers += _layer(nn.ConvTranspose2d(wide, narrow, 4, stride=2, padding=1, bias=False))
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[0], 3, 7, padding=3, bias=False), nn.Tanh())
        he_initialize(self)

    def embed(self, image: Tensor, masks: object = None) -> Encoded:
        assert masks is None, "the configuration refuses a high-pass skip here"
        return Encoded(image, {})

    def render(self, encoded: Encoded, style: Tensor) -> Tensor:
        image = encoded.features
        planes = style[:, :, None, None].expand(-1, -1, *image.shape[2:])
        output: Tensor = self.layers(torch.cat([image, planes], 1))
        return output

    def forward(self, image: Tensor, style: Tensor) -> Tensor:
        return self.render(self.embed(image), style)


def _layer(convolution: nn.Conv2d | nn.ConvTranspose2d) -> list[nn.Module]:
    width = convolution.out_channels
    return [convolution, InstanceNorm(width), nn.ReLU()]
