"""Sources into outputs of a target domain, by latent or by reference guidance, as 8-bit images."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from sg2bench.config import Evaluate
from sg2bench.data.images import ImageSet
from sg2bench.models.networks import Networks

Mode = Literal["latent", "reference"]


def to_float(images: Tensor) -> Tensor:
    """uint8 -> float32 in [-1, 1]."""
    return images.float().div_(127.5).sub_(1)


def to_uint8(images: Tensor) -> Tensor:
    """Generator output -> uint8 as a PNG would hold it: clamped to [-1, 1], rounded half up."""
    return images.add(1).mul_(0.5).clamp_(0, 1).mul_(255).add_(0.5).to(torch.uint8)


@torch.inference_mode()
def style_codes(
    nets: Networks, images: ImageSet, evaluate: Evaluate, mode: Mode, source: str, target: str, image_size: int
) -> Tensor:
    """Style codes (sources, outputs_per_source, style_dim) of one pair, the same whatever was evaluated before.

    Latents are standard normal; references are validation images of the target, none twice for one source while
    there are enough.
    """
    count = source_count(images, evaluate, source)
    label = images.domains.index(target)
    device = next(nets.parameters()).device
    rng = np.random.default_rng([evaluate.seed, zlib.crc32(f"{mode}:{source}:{target}".encode())])
    if mode == "latent":
        size = (count * evaluate.outputs_per_source, nets.mapping_network.latent_dim)
        latents = rng.standard_normal(size, dtype=np.float32)
        styles: Tensor = nets.mapping_network(
            torch.from_numpy(latents).to(device), _labels(label, len(latents), device)
        )
        return styles.view(count, -1, styles.shape[1])
    references = images.count("val", target)
    rounds = -(-evaluate.outputs_per_source // references)
    chosen = np.stack(
        [
            np.concatenate([rng.permutation(references) for _ in range(rounds)])[: evaluate.outputs_per_source]
            for _ in range(count)
        ]
    )
    encoded = []
    for start in range(0, references, evaluate.batch_size):
        indices = range(start, min(start + evaluate.batch_size, references))
        batch = to_float(images.batch("val", target, indices, image_size).to(device))
        encoded.append(nets.style_encoder(batch, _labels(label, len(batch), device)))
    return torch.cat(encoded)[torch.from_numpy(chosen).to(device)]


@torch.inference_mode()
def translate(
    nets: Networks, images: ImageSet, source: str, styles: Tensor, batch_size: int, image_size: int
) -> Iterator[Tensor]:
    """Outputs of every source in order, uint8 (n, 3, S, S) with a source's outputs in a row; a source is encoded once.

    `styles` (sources, outputs, style_dim); at most `batch_size` outputs a time, but at least one source's.
    """
    sources, outputs, _ = styles.shape
    step = max(1, batch_size // outputs)
    for start in range(0, sources, step):
        indices = range(start, min(start + step, sources))
        batch = to_float(images.batch("val", source, indices, image_size).to(styles.device))
        encoded = nets.generator.encode(batch).repeat_interleave(outputs)
        yield to_uint8(nets.generator.decode(encoded, styles[indices.start : indices.stop].flatten(0, 1)))


def source_count(images: ImageSet, evaluate: Evaluate, domain: str) -> int:
    available = images.count("val", domain)
    return min(available, evaluate.sources or available)


def _labels(label: int, count: int, device: torch.device) -> Tensor:
    return torch.full((count,), label, device=device)
