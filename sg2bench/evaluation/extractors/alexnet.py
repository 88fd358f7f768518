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
"""Layers before a pooling. On a CPU, channels last cut the time of a pooling to a tenth, but double that of the
convolutions on small maps.
"""


class AlexNet(Extractor):
    """AlexNet's trunk. One pass serves LPIPS, by `layers` and `heads`, and distances, on pooled conv5.

    Floats on the scale of 0 to 255 are accepted, too.
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
        """LPIPS weights per layer, (C,)."""
        return [self.get_buffer(f"head{index}") for index in range(len(_LAYERS))]

    def forward(self, images: Tensor) -> Features:
        x = torch.addcmul(self.shift, resized(images, self.resize), self.scale)
        layers = []
        for name, convolution in self.features.items():
            layers.append(convolution(x).relu_())
            x = F.max_pool2d(layers[-1], 3, 2).contiguous() if name in _POOLED else layers[-1]
        return Features(x.mean((2, 3)), tuple(layers))


class AlexNetLayers(AlexNet):
    """Channel means of all five layers, which keep more of shapes and textures than those of the last layer."""

    pass_of = "alexnet"
    dim = sum(dim_out for _, dim_out, *_ in _SIZES)

    @staticmethod
    def view(features: Features) -> Features:
        return Features(torch.cat([layer.mean((2, 3)) for layer in features.layers], 1), features.layers)

    def forward(self, images: Tensor) -> Features:
        return self.view(super().forward(images))


class AlexNetEdges(Extractor):
    """Layout by edges alone: AlexNet's first layer on grey images of 128 pixels, without padding.

    Each channel is normalised to zero mean and unit variance over the image, as mean and variance carry the style
    (Huang and Belongie 2017, section 3). The maps are concatenated and scaled to length 1.
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
