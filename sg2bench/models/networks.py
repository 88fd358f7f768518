"""Generator, mapping network, style encoder, discriminator (paper, section 2 and appendix).

Parameter names are those of the published checkpoints. Images are (N, 3, S, S) in [-1, 1], styles (N, style_dim),
latents (N, latent_dim), domain labels int64 (N,).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sg2bench.config import Model
from sg2bench.models.blocks import SLOPE, AdaINResBlock, ResBlock, he_initialize

_SKIP_SIZES = (32, 64, 128)


class Encoded(NamedTuple):
    """A source image as the generator's decoder takes it; it does not depend on the style."""

    features: Tensor
    skips: dict[int, Tensor]
    """Masked, high-passed features by their side in pixels; empty without high-pass skip."""

    def detach(self) -> Encoded:
        return Encoded(self.features.detach(), {side: skip.detach() for side, skip in self.skips.items()})

    def repeat_interleave(self, repeats: int) -> Encoded:
        """Each source `repeats` times in a row."""
        return Encoded(
            self.features.repeat_interleave(repeats, 0),
            {side: skip.repeat_interleave(repeats, 0) for side, skip in self.skips.items()},
        )


class HighPass(nn.Module):
    """Depthwise `[[-1,-1,-1],[-1,8,-1],[-1,-1,-1]] / w_hpf`, zero padding; (N, C, H, W) -> the same shape."""

    filter: Tensor

    def __init__(self, w_hpf: float) -> None:
        super().__init__()
        kernel = -torch.ones(3, 3)
        kernel[1, 1] = 8
        self.register_buffer("filter", kernel / w_hpf)

    def forward(self, x: Tensor) -> Tensor:
        kernel = self.filter.to(x.dtype).expand(x.shape[1], 1, 3, 3)
        return F.conv2d(x, kernel, padding=1, groups=x.shape[1])


class Generator(nn.Module):
    """Image and style -> image of that style. `forward(x, s)` is `decode(encode(x), s)`."""

    def __init__(
        self,
        image_size: int,
        style_dim: int = 64,
        first_width: int | None = None,
        max_width: int = 512,
        w_hpf: float = 0,
    ) -> None:
        super().__init__()
        high_pass = w_hpf > 0
        width = first_width or 2**14 // image_size
        self.from_rgb = nn.Conv2d(3, width, 3, padding=1)
        self.to_rgb = nn.Sequential(nn.GroupNorm(width, width), nn.LeakyReLU(SLOPE), nn.Conv2d(width, 3, 1))
        encoder, decoder = nn.ModuleList(), nn.ModuleList()
        for _ in range(int(math.log2(image_size)) - 4 + high_pass):
            wider = min(2 * width, max_width)
            encoder.append(ResBlock(width, wider, normalize=True, downsample=True))
            decoder.insert(0, AdaINResBlock(wider, width, style_dim, upsample=True, high_pass=high_pass))
            width = wider
        for _ in range(2):
            encoder.append(ResBlock(width, width, normalize=True))
            decoder.insert(0, AdaINResBlock(width, width, style_dim, high_pass=high_pass))
        # The checkpoints' keys are `encode.*` and `decode.*`, which are also the names of the two methods.
        self._modules["encode"], self._modules["decode"] = encoder, decoder
        if high_pass:
            self.hpf = HighPass(w_hpf)
        he_initialize(self)

    def encode(self, image: Tensor, masks: tuple[Tensor, Tensor] | None = None) -> Encoded:
        """What the decoder needs of an image; masks (N, 1, H, W) in [0, 1] for 32 px and for 64 and 128 px features."""
        skips = {}
        x = self.from_rgb(image)
        for block in _blocks(self, "encode"):
            side = x.shape[2]
            if masks is not None and side in _SKIP_SIZES:
                mask = F.interpolate(masks[0 if side == 32 else 1], size=side, mode="bilinear", align_corners=False)
                skips[side] = self.hpf(mask * x)
            x = block(x)
        return Encoded(x, skips)

    def decode(self, encoded: Encoded, style: Tensor) -> Tensor:
        """The image, of no bounded range: there is no tanh."""
        x = encoded.features
        for block in _blocks(self, "decode"):
            x = block(x, style)
            if x.shape[2] in encoded.skips:
                x = x + encoded.skips[x.shape[2]]
        image: Tensor = self.to_rgb(x)
        return image

    def forward(self, image: Tensor, style: Tensor, masks: tuple[Tensor, Tensor] | None = None) -> Tensor:
        return self.decode(self.encode(image, masks), style)


def _blocks(generator: Generator, half: str) -> Iterator[nn.Module]:
    blocks = generator._modules[half]
    assert isinstance(blocks, nn.ModuleList)
    return iter(blocks)


class MappingNetwork(nn.Module):
    """Latent and domain -> style code: (N, latent_dim), (N,) -> (N, style_dim)."""

    def __init__(self, num_domains: int, latent_dim: int = 16, style_dim: int = 64, width: int = 512) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        shared: list[nn.Module] = []
        for dim_in in (latent_dim, width, width, width):
            shared += [nn.Linear(dim_in, width), nn.ReLU()]
        self.shared = nn.Sequential(*shared)
        self.unshared = nn.ModuleList()
        for _ in range(num_domains):
            branch: list[nn.Module] = []
            for _ in range(3):
                branch += [nn.Linear(width, width), nn.ReLU()]
            self.unshared.append(nn.Sequential(*branch, nn.Linear(width, style_dim)))
        he_initialize(self)

    def forward(self, latent: Tensor, domain: Tensor) -> Tensor:
        return _select(self.unshared, self.shared(latent), domain)


class StyleEncoder(nn.Module):
    """Reference image and its domain -> style code: (N, 3, S, S), (N,) -> (N, style_dim)."""

    def __init__(
        self,
        image_size: int,
        num_domains: int,
        style_dim: int = 64,
        first_width: int | None = None,
        max_width: int = 512,
    ) -> None:
        super().__init__()
        layers, width = _downsampler(image_size, first_width, max_width)
        self.shared = nn.Sequential(*layers)
        self.unshared = nn.ModuleList(nn.Linear(width, style_dim) for _ in range(num_domains))
        he_initialize(self)

    def forward(self, image: Tensor, domain: Tensor) -> Tensor:
        return _select(self.unshared, self.shared(image).flatten(1), domain)


class Discriminator(nn.Module):
    """Image and domain -> logit of being a real image of that domain: (N, 3, S, S), (N,) -> (N,)."""

    def __init__(self, image_size: int, num_domains: int, first_width: int | None = None, max_width: int = 512) -> None:
        super().__init__()
        layers, width = _downsampler(image_size, first_width, max_width)
        self.main = nn.Sequential(*layers, nn.Conv2d(width, num_domains, 1))
        he_initialize(self)

    def forward(self, image: Tensor, domain: Tensor) -> Tensor:
        logits: Tensor = self.main(image).flatten(1)
        return logits.gather(1, domain[:, None]).squeeze(1)


def _downsampler(image_size: int, first_width: int | None, max_width: int) -> tuple[list[nn.Module], int]:
    """From an image to (N, width, 1, 1), as style encoder and discriminator begin; and the width."""
    width = first_width or 2**14 // image_size
    layers: list[nn.Module] = [nn.Conv2d(3, width, 3, padding=1)]
    for _ in range(int(math.log2(image_size)) - 2):
        wider = min(2 * width, max_width)
        layers.append(ResBlock(width, wider, downsample=True))
        width = wider
    return [*layers, nn.LeakyReLU(SLOPE), nn.Conv2d(width, width, 4), nn.LeakyReLU(SLOPE)], width


def _select(heads: nn.ModuleList, shared: Tensor, domain: Tensor) -> Tensor:
    """Each sample's own head. All heads are computed, so that each has a gradient, zero where nobody chose it."""
    outputs = torch.stack([head(shared) for head in heads], dim=1)
    return outputs[torch.arange(len(domain), device=domain.device), domain]


class Networks(nn.Module):
    """The three networks that make images, by the names of the published checkpoints."""

    def __init__(self, model: Model, num_domains: int) -> None:
        super().__init__()
        sizes = (model.style_dim, model.first_width, model.max_width)
        self.generator = Generator(model.image_size, *sizes)
        self.mapping_network = MappingNetwork(num_domains, model.latent_dim, model.style_dim, model.mapping_width)
        self.style_encoder = StyleEncoder(model.image_size, num_domains, *sizes)


def build_discriminator(model: Model, num_domains: int) -> Discriminator:
    return Discriminator(model.image_size, num_domains, model.first_width, model.max_width)
