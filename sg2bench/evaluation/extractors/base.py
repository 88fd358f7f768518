"""Base class of feature extractors, and their preprocessing."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Features(NamedTuple):
    """Features of N images, float32: `pooled` (N, dim) for distances, `layers` (N, C, H, W) each for LPIPS, or none."""

    pooled: Tensor
    layers: tuple[Tensor, ...] = ()


class Extractor(nn.Module, ABC):
    """A pretrained network: images uint8 (N, 3, H, W) -> `Features`.

    `resize` is the side in pixels to which images are resized before the network; None to keep their size, and for
    networks with a fixed input size (`resizes` False).
    """

    weights_sha256: ClassVar[str]
    """SHA-256 of its file, or of the recipe of its training; empty if it has no weights."""
    pass_of: ClassVar[str | None] = None
    """Extractor whose forward pass it shares: `view` derives its features from the other's."""
    dim: ClassVar[int]
    resizes: ClassVar[bool] = True
    least_side: ClassVar[int] = 1
    """Smallest side in pixels of images that the network accepts."""

    def __init__(self, resize: int | None) -> None:
        super().__init__()
        assert self.resizes or resize is None
        self.resize = resize

    @staticmethod
    def view(features: Features) -> Features:
        return features

    @abstractmethod
    def forward(self, images: Tensor) -> Features: ...


class Normalise(nn.Module):
    """Images (N, 3, H, W) minus a mean, divided by a standard deviation, each per channel."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: tuple[float, float, float], std: tuple[float, float, float]) -> None:
        super().__init__()
        self.register_buffer("mean", channel_constant(mean), persistent=False)
        self.register_buffer("std", channel_constant(std), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        return (images - self.mean) / self.std


def resized(images: Tensor, side: int | None) -> Tensor:
    """Resize uint8 or float images (N, 3, H, W) on the scale of 0 to 255 to float32 (N, 3, side, side) in [0, 255],
    bicubic with antialiasing. A side of None keeps their size.
    """
    x = images.float()
    height, width = x.shape[-2:]
    if side is None or (height, width) == (side, side):
        return x
    if side < max(height, width):
        return bicubic(x, side, side).clamp_(0, 255)
    # Two matrix products enlarge small images in a third of the time of torch's kernel on a CPU.
    rows, columns = (bicubic(torch.eye(old, device=x.device)[None, None], side, old)[0, 0] for old in (height, width))
    return (rows @ x @ columns.T).clamp_(0, 255)


def pil_resized(images: Tensor, side: int, resample: Image.Resampling) -> Tensor:
    """Resize uint8 images (N, 3, H, W) by PIL, which rounds to 8 bits, to float32 (N, 3, side, side) in [0, 1]."""
    arrays = [
        np.asarray(Image.fromarray(image).resize((side, side), resample))
        for image in images.permute(0, 2, 3, 1).cpu().numpy()
    ]
    return torch.from_numpy(np.stack(arrays)).to(images.device).permute(0, 3, 1, 2).float() / 255


def bicubic(images: Tensor, height: int, width: int) -> Tensor:
    """Resize float images (N, C, H, W), bicubic with antialiasing; values may leave the range of the images."""
    return F.interpolate(images, (height, width), mode="bicubic", antialias=True, align_corners=False)


def channel_constant(values: tuple[float, float, float]) -> Tensor:
    """Return a tensor with one number per channel, (3, 1, 1)."""
    return torch.tensor(values).view(3, 1, 1)
