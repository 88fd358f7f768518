"""Pretrained networks that turn images into features.

Images (N, 3, H, W) in, uint8 or float on the scale of 0 to 255; float32 features out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from sg2bench import weights

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_INCEPTION_SIDE = 299


class Features(NamedTuple):
    """Of N images: `pooled` (N, dim) for the Fréchet distance; `layers` per layer (N, C, H, W) for LPIPS."""

    pooled: Tensor
    layers: tuple[Tensor, ...]


class AlexNet(nn.Module):
    """AlexNet's trunk with LPIPS' heads: one pass serves LPIPS and the Fréchet distance on pooled conv5."""

    dim = 256
    mean: Tensor
    std: Tensor

    def __init__(self, resize: int | None) -> None:
        super().__init__()
        trunk, heads = weights.alexnet_lpips()
        self.resize = resize
        sizes = ((3, 64, 11, 4, 2), (64, 192, 5, 1, 2), (192, 384, 3, 1, 1), (384, 256, 3, 1, 1), (256, 256, 3, 1, 1))
        self.features = nn.ModuleDict()
        for layer, (dim_in, dim_out, kernel, stride, padding) in zip((0, 3, 6, 8, 10), sizes, strict=True):
            self.features[str(layer)] = nn.Conv2d(dim_in, dim_out, kernel, stride, padding)
        self.load_state_dict(trunk, strict=True)
        for index, head in enumerate(heads):
            self.register_buffer(f"head{index}", head, persistent=False)
        self.register_buffer("mean", torch.tensor(_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(_STD).view(3, 1, 1), persistent=False)
        self.requires_grad_(False).to(memory_format=torch.channels_last)  # a quarter faster on a CPU

    @property
    def heads(self) -> list[Tensor]:
        """LPIPS' weights per layer, (C,)."""
        return [self.get_buffer(f"head{index}") for index in range(5)]

    def forward(self, images: Tensor) -> Features:
        x = (resized(images, self.resize) / 255 - self.mean) / self.std
        layers = []
        for name, convolution in self.features.items():
            if name in ("3", "6"):
                x = F.max_pool2d(x, 3, 2)
            x = F.relu(convolution(x))
            layers.append(x)
        return Features(x.mean((2, 3)), tuple(layers))


class EfficientNetLite0(nn.Module):
    """EfficientNet-Lite0's last feature map, pooled over space."""

    dim = 1280

    def __init__(self, resize: int | None) -> None:
        from efficientnet_lite_pytorch import EfficientNet  # noqa: PLC0415 (on request only: an import of a second)

        super().__init__()
        self.resize = resize
        self.network = EfficientNet.from_name("efficientnet-lite0")
        self.network.load_state_dict(weights.efficientnet_lite0(), strict=True)
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> Features:
        features = self.network.extract_features((resized(images, self.resize) - 127) / 128)
        return Features(features.mean((2, 3)), ())


class InceptionTorchvision(nn.Module):
    """Torchvision's ImageNet Inception v3, pooled: what the published FID of StarGAN v2 is measured on.

    8-bit images only. They are resized by PIL (bilinear) to 299, and so rounded to 8 bits, as they would be on disk.
    """

    dim = 2048
    mean: Tensor
    std: Tensor

    def __init__(self, resize: None) -> None:
        from torchvision.models import inception_v3  # noqa: PLC0415 (on request only: an import of seconds)

        assert resize is None, "Inception has a size of its own"
        super().__init__()
        self.network = inception_v3(weights=None, init_weights=False)
        self.network.load_state_dict(weights.inception_torchvision(), strict=True)
        self.network.fc = nn.Identity()
        self.register_buffer("mean", torch.tensor(_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(_STD).view(3, 1, 1), persistent=False)
        self.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # 1.5 times as fast on a CPU

    def prepare(self, images: Tensor) -> Tensor:
        """uint8 (N, 3, H, W) -> normalised float32 (N, 3, 299, 299)."""
        arrays = [
            np.asarray(Image.fromarray(image).resize((_INCEPTION_SIDE, _INCEPTION_SIDE), Image.Resampling.BILINEAR))
            for image in images.permute(0, 2, 3, 1).cpu().numpy()
        ]
        x = torch.from_numpy(np.stack(arrays)).to(images.device).permute(0, 3, 1, 2).float() / 255
        return (x - self.mean) / self.std

    def forward(self, images: Tensor) -> Features:
        return Features(self.network(self.prepare(images)), ())


class InceptionCompat(nn.Module):
    """The Inception of 2015 that FID is defined on, as torch-fidelity has it (`inception-v3-compat`). 8-bit images."""

    dim = 2048

    def __init__(self, resize: None) -> None:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3  # noqa: PLC0415

        assert resize is None, "Inception has a size of its own"
        super().__init__()
        path = weights.fetch(weights.INCEPTION_2015)
        torch.load(path, map_location="cpu", weights_only=True)  # the library would run code that the file holds
        self.network = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], feature_extractor_weights_path=path)

    def forward(self, images: Tensor) -> Features:
        return Features(self.network(images)[0], ())


def resized(images: Tensor, side: int | None) -> Tensor:
    """uint8 (N, 3, H, W) -> float32 (N, 3, side, side) in [0, 255], bicubic with antialiasing; as they are for None."""
    x = images.float()
    if side is None or x.shape[-2:] == (side, side):
        return x
    return F.interpolate(x, (side, side), mode="bicubic", antialias=True, align_corners=False).clamp(0, 255)


EXTRACTORS: dict[str, Callable[[Any], nn.Module]] = {
    "alexnet": AlexNet,
    "efficientnet-lite0": EfficientNetLite0,
    "inception-v3-compat": InceptionCompat,
    "inception-v3-torchvision": InceptionTorchvision,
}
