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


class AlexNet(Extractor):
    """AlexNet's trunk: one pass serves LPIPS, by `layers` and `heads`, and distances, on pooled conv5.

    Also takes floats on the scale of 0 to 255.
    """

    weights = weights.ALEXNET_LPIPS
    dim = 256
    least_side = 31
    mean: Tensor
    std: Tensor

    def __init__(self, resize: int | None) -> None:
        super().__init__(resize)
        trunk, heads = weights.alexnet_lpips()
        self.features = nn.ModuleDict()
        for layer, (dim_in, dim_out, kernel, stride, padding) in zip(_LAYERS, _SIZES, strict=True):
            self.features[str(layer)] = nn.Conv2d(dim_in, dim_out, kernel, stride, padding)
        self.load_state_dict(trunk, strict=True)
        for index, head in enumerate(heads):
            self.register_buffer(f"head{index}", head, persistent=False)
        self.register_buffer("mean", channel_constant(IMAGENET_MEAN), persistent=False)
        self.register_buffer("std", channel_constant(IMAGENET_STD), persistent=False)
        self.requires_grad_(False).to(memory_format=torch.channels_last)  # a quarter faster on a CPU

    @property
    def heads(self) -> list[Tensor]:
        """LPIPS' weights per layer, (C,)."""
        return [self.get_buffer(f"head{index}") for index in range(len(_LAYERS))]

    def forward(self, images: Tensor) -> Features:
        x = (resized(images, self.resize) / 255 - self.mean) / self.std
        layers = []
        for name, convolution in self.features.items():
            if name in ("3", "6"):
                x = F.max_pool2d(x, 3, 2)
            x = F.relu(convolution(x))
            layers.append(x)
        return Features(x.mean((2, 3)), tuple(layers))
