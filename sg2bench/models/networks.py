"""Generator, mapping network, style encoder, discriminator (paper, section 2 and appendix).

Parameter names are those of the published checkpoints. Images are (N, 3, S, S) in [-1, 1], styles (N, style_dim),
latents (N, latent_dim), domain labels int64 (N,).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sg2bench.config import Model
from sg2bench.models import face_alignment
from sg2bench.models.blocks import SLOPE, AdaINResBlock, Encoded, InstanceNorm, ResBlock, he_initialize
from sg2bench.models.convolution import Conv2d
from sg2bench.models.face_alignment import FaceAlignment
from sg2bench.models.stargan import StarGANGenerator

_SKIP_SIZES = (32, 64, 128)


class HighPass(nn.Module):
    """Depthwise filter `[[-1,-1,-1],[-1,8,-1],[-1,-1,-1]] / w_hpf`, zero padding; keeps the shape (N, C, H, W)."""

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
    """Generator: image and style -> image in that style. `forward(x, s)` is `render(embed(x), s)`."""

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
        self.from_rgb = Conv2d(3, width, 3, padding=1)
        self.to_rgb = nn.Sequential(InstanceNorm(width), nn.LeakyReLU(SLOPE, inplace=True), Conv2d(width, 3, 1))
        self.encode, self.decode = nn.ModuleList(), nn.ModuleList()
        for _ in range(int(math.log2(image_size)) - 4 + high_pass):
            wider = min(2 * width, max_width)
            self.encode.append(ResBlock(width, wider, normalize=True, downsample=True))
            self.decode.insert(0, AdaINResBlock(wider, width, style_dim, upsample=True, high_pass=high_pass))
            width = wider
        for _ in range(2):
            self.encode.append(ResBlock(width, width, normalize=True))
            self.decode.insert(0, AdaINResBlock(width, width, style_dim, high_pass=high_pass))
        if high_pass:
            self.hpf = HighPass(w_hpf)
        he_initialize(self)

    def embed(self, image: Tensor, masks: tuple[Tensor, Tensor] | None = None) -> Encoded:
        """Encode an image; masks (N, 1, H, W) in [0, 1] are for features of 32 px, and of 64 and 128 px."""
        skips = {}
        x = self.from_rgb(image)
        for block in self.encode:
            side = x.shape[2]
            if masks is not None and side in _SKIP_SIZES:
                mask = F.interpolate(masks[0 if side == 32 else 1], size=side, mode="bilinear", align_corners=False)
                skips[side] = self.hpf(mask * x)
            x = block(x)
        return Encoded(x, skips)

    def render(self, encoded: Encoded, style: Tensor) -> Tensor:
        """Decode to an image. Its range is not bounded: there is no tanh."""
        x = encoded.features
        for block in self.decode:
            x = block(x, style)
            if x.shape[2] in encoded.skips:
                x = x + encoded.skips[x.shape[2]]
        image: Tensor = self.to_rgb(x)
        return image

    def forward(self, image: Tensor, style: Tensor, masks: tuple[Tensor, Tensor] | None = None) -> Tensor:
        return self.render(self.embed(image, masks), style)


class MappingNetwork(nn.Module):
    """Mapping network: latent and domain -> style code, (N, latent_dim), (N,) -> (N, style_dim)."""

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
    """Style encoder: reference image and its domain -> style code, (N, 3, S, S), (N,) -> (N, style_dim)."""

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


class Verdict(NamedTuple):
    """Output of a discriminator for N images."""

    real: Tensor
    """Logit of being real, (N,); of being real in the given domain if the discriminator has a logit per domain."""
    classes: Tensor | None
    """Logits of the domains, (N, K), from an auxiliary classifier; else None."""


class Discriminator(nn.Module):
    """Discriminator: image and domain -> logit of being a real image of that domain, (N, 3, S, S), (N,) -> (N,).

    With `auxiliary`, all domains share one logit, and a classifier predicts the domain (Odena et al. 2017).
    """

    def __init__(
        self,
        image_size: int,
        num_domains: int,
        first_width: int | None = None,
        max_width: int = 512,
        auxiliary: bool = False,
    ) -> None:
        super().__init__()
        self.auxiliary = auxiliary
        layers, width = _downsampler(image_size, first_width, max_width)
        self.main = nn.Sequential(*layers, Conv2d(width, num_domains + auxiliary, 1))
        he_initialize(self)

    def judge(self, image: Tensor, domain: Tensor) -> Verdict:
        logits: Tensor = self.main(image).flatten(1)
        if self.auxiliary:
            return Verdict(logits[:, 0], logits[:, 1:])
        return Verdict(logits.gather(1, domain[:, None]).squeeze(1), None)

    def forward(self, image: Tensor, domain: Tensor) -> Tensor:
        return self.judge(image, domain).real


def _downsampler(image_size: int, first_width: int | None, max_width: int) -> tuple[list[nn.Module], int]:
    """Return the common first layers of style encoder and discriminator, image -> (N, width, 1, 1), and the width."""
    width = first_width or 2**14 // image_size
    layers: list[nn.Module] = [Conv2d(3, width, 3, padding=1)]
    for _ in range(int(math.log2(image_size)) - 2):
        wider = min(2 * width, max_width)
        layers.append(ResBlock(width, wider, downsample=True))
        width = wider
    end = [nn.LeakyReLU(SLOPE, inplace=True), Conv2d(width, width, 4), nn.LeakyReLU(SLOPE, inplace=True)]
    return [*layers, *end], width


def _select(heads: nn.ModuleList, shared: Tensor, domain: Tensor) -> Tensor:
    """Apply to each sample the head of its domain: (N, d), (N,) -> (N, style_dim).

    With more heads than samples, only the heads in use are computed. That copies the labels from the device, and the
    other heads get no gradient.
    """
    if len(heads) <= len(domain):
        outputs = torch.stack([head(shared) for head in heads], dim=1)
        return outputs[torch.arange(len(domain), device=domain.device), domain]
    order = domain.argsort()
    present, counts = torch.unique(domain, return_counts=True)
    parts = zip(present.tolist(), torch.split(shared[order], counts.tolist()), strict=True)
    return torch.cat([heads[label](part) for label, part in parts])[order.argsort()]


class Networks(nn.Module):
    """The networks that generate images, by the names of the published checkpoints.

    The input of the generator depends on `model.condition`:

    * `style`: a style code, from the mapping network or the style encoder (StarGAN v2).
    * `latent`: the latent itself and the one-hot domain; the style encoder recovers latents.
    * `label`: the one-hot domain, through AdaIN; neither mapping network nor style encoder.
    * `label_map`: the one-hot domain as a map, concatenated to the image, for StarGAN's generator.
    """

    def __init__(self, model: Model, num_domains: int) -> None:
        super().__init__()
        self.condition, self.num_domains, self.latent_dim = model.given, num_domains, model.latent_dim
        widths = (model.first_width, model.max_width)
        code_dim = {"style": model.style_dim, "latent": model.latent_dim, None: 0}[self.condition.code]
        given = code_dim + num_domains * self.condition.label
        self.generator = (
            StarGANGenerator(num_domains, model.first_width or 2**14 // model.image_size, model.max_width)
            if model.condition == "label_map"
            else Generator(model.image_size, given, *widths, model.w_hpf)
        )
        if self.condition.code == "style":
            self.mapping_network = MappingNetwork(num_domains, model.latent_dim, model.style_dim, model.mapping_width)
        if self.condition.takes_references:
            self.style_encoder = StyleEncoder(model.image_size, num_domains, code_dim, *widths)
        if model.w_hpf:
            self.fan = FaceAlignment()

    def trained(self) -> dict[str, nn.Module]:
        """Return the networks that are trained: all but the face-alignment network."""
        return {name: network for name, network in self.named_children() if name != "fan"}

    def encode(self, image: Tensor) -> Encoded:
        """Encode an image, with masks from the face-alignment network if there is one."""
        masks = face_alignment.masks(self.fan, image) if "fan" in self._modules else None
        return self.generator.embed(image, masks)

    def decode(self, encoded: Encoded, style: Tensor) -> Tensor:
        return self.generator.render(encoded, style)

    def latent_style(self, latent: Tensor, domain: Tensor) -> Tensor:
        """Return the generator's input for a latent and domain: (N, latent_dim), (N,) -> (N, its style_dim)."""
        code = self.mapping_network(latent, domain) if self.condition.code == "style" else latent
        return self._given(code, latent, domain)

    def reference_style(self, image: Tensor, domain: Tensor) -> Tensor:
        """Return the generator's input for references and their domain: (N, 3, S, S), (N,) -> (N, its style_dim)."""
        code = self.style_encoder(image, domain) if self.condition.takes_references else image
        return self._given(code, image, domain)

    def _given(self, code: Tensor, like: Tensor, domain: Tensor) -> Tensor:
        """Return the code, the label, or both, as `model.condition` demands."""
        if not self.condition.label:
            return code
        # F.one_hot inspects the labels, which tracing does not allow.
        label = (domain[:, None] == torch.arange(self.num_domains, device=domain.device)).to(like.dtype)
        return label if self.condition.code is None else torch.cat([code, label], 1)


def build_discriminator(model: Model, num_domains: int) -> Discriminator:
    auxiliary = model.discriminator == "auxiliary"
    return Discriminator(model.image_size, num_domains, model.first_width, model.max_width, auxiliary)
