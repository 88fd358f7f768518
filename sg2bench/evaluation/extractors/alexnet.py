"""AlexNet with LPIPS' heads (Zhang et al. 2018)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sg2bench import weights
from sg2bench.evaluation.extractors.base import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Extractor,
    Features,
    channel_constant,
    resized,
)

_LAYERS = (0, 3, 6, 8, 10)
_SIZES = ((3, 64, 11, 4, 2), (64, 192, 5, 1, 2), (192, 384, 3, 1, 1), (384, 256, 3, 1, 1), (256, 256, 3, 1, 1))
"""Channels in and out, kernel, stride, padding."""
_POOLED = ("0", "3")
"""Layers before a pooling. On a CPU a pooling takes a tenth of the time with channels last, the convolutions of small
maps half without.
"""


class AlexNet(Extractor):
    """AlexNet's trunk: one pass serves LPIPS, by `layers` and `heads`, and distances, on pooled conv5.

    Also takes floats on the scale of 0 to 255.
    """

    weights_sha256 = weights.ALEXNET_LPIPS.sha256
    dim = 256
    least_side = 31
    scale: Tensor
    shift: Tensor

    def __init__(self, resize: int | None) -> None:
        super().__init__(resize)
        trunk, heads = weights.alexnet_lpips()
        self.features = nn.ModuleDict()
        for layer, (dim_in, dim_out, kernel, stride, padding) in zip(_LAYERS, _SIZES, strict=True):
            self.features[str(layer)] = nn.Conv2d(dim_in, dim_out, kernel, stride, padding, device="meta")
        self.load_state_dict(trunk, strict=True, assign=True)
        for index, head in enumerate(heads):
            self.register_buffer(f"head{index}", head, persistent=False)
        mean, std = channel_constant(IMAGENET_MEAN), channel_constant(IMAGENET_STD)
        self.register_buffer("scale", 1 / (255 * std), persistent=False)
        self.register_buffer("shift", -mean / std, persistent=False)
        self.requires_grad_(False)
        for name in _POOLED:
            self.features[name].to(memory_format=torch.channels_last)

    @property
    def heads(self) -> list[Tensor]:
        """LPIPS' weights per layer, (C,)."""
        return [self.get_buffer(f"head{index}") for index in range(len(_LAYERS))]

    def forward(self, images: Tensor) -> Features:
        x = torch.addcmul(self.shift, resized(images, self.resize), self.scale)
        layers = []
        for name, convolution in self.features.items():
            layers.append(convolution(x).relu_())
            x = F.max_pool2d(layers[-1], 3, 2).contiguous() if name in _POOLED else layers[-1]
        return Features(x.mean((2, 3)), tuple(layers))


class AlexNetLayers(AlexNet):
    """The channel means of all five layers, which keep more of shapes and textures than the last alone."""

    pass_of = "alexnet"
    dim = sum(dim_out for _, dim_out, *_ in _SIZES)

    @staticmethod
    def view(features: Features) -> Features:
        return Features(torch.cat([layer.mean((2, 3)) for layer in features.layers], 1), features.layers)

    def forward(self, images: Tensor) -> Features:
        return self.view(super().forward(images))


class AlexNetEdges(Extractor):
    """What is where, by edges alone: AlexNet's first layer on grey images of 128 pixels, without borders.

    Each channel loses its mean and its variance over the image, which carry the style (Huang and Belongie 2017,
    section 3); the maps are joined, and have length 1 together.
    """

    weights_sha256 = weights.ALEXNET_LPIPS.sha256
    resizes = False
    dim = 64 * 30 * 30

    def __init__(self, resize: int | None = None) -> None:
        super().__init__(resize)
        trunk, _ = weights.alexnet_lpips()
        mean, std = channel_constant(IMAGENET_MEAN), channel_constant(IMAGENET_STD)
        kernel = trunk["features.0.weight"]
        self.convolution = nn.Conv2d(1, 64, 11, 4)
        bias = trunk["features.0.bias"] - (kernel * mean / std).sum((1, 2, 3))
        self.convolution.load_state_dict({"weight": (kernel / std / 255).sum(1, keepdim=True), "bias": bias})
        self.requires_grad_(False)

    def forward(self, images: Tensor) -> Features:
        red, green, blue = torch.split(resized(images, 128), 1, 1)
        maps = self.convolution(0.299 * red + 0.587 * green + 0.114 * blue).relu_()
        return Features(F.normalize(F.instance_norm(maps, eps=1e-4).flatten(1)))
