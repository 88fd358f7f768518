"""Sample grids: sources across, styles down."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from sg2bench.catalog import Mode
from sg2bench.data.images import ImageSet
from sg2bench.evaluation.outputs import finite, to_float, to_uint8
from sg2bench.models.networks import Networks

_TILE = 64
_GAP = 4
_MOST_DOMAINS = 8
_STYLES = 2
"""Styles per domain."""


@torch.inference_mode()
def grid(nets: Networks, images: ImageSet, mode: Mode, image_size: int, per_domain: int = 3) -> Image.Image:
    """Draw validation images of every domain (top row) in styles of every domain (one row each).

    At most 8 domains are shown. Sources are spread evenly over a domain's validation images. References, shown in the
    left column in reference mode, lie between them. All models of an image set get the same sources, latents and
    references.
    """
    nets.eval()
    device = next(nets.parameters()).device
    domains = images.domains[:_MOST_DOMAINS]
    sources = torch.cat([_spread(images, domain, image_size, per_domain, 0.0) for domain in domains])
    encoded = nets.encode(to_float(sources.to(device)))
    latents = torch.from_numpy(
        np.random.default_rng(0).standard_normal((len(domains), _STYLES, nets.latent_dim), dtype=np.float32)
    )
    rows = [[torch.full_like(sources[0], 255), *sources]]
    for label, domain in enumerate(domains):
        references = _spread(images, domain, image_size, _STYLES, 0.5)
        labels = torch.full((_STYLES,), label, device=device)
        if mode == "latent":
            styles = nets.latent_style(latents[label].to(device), labels)
        else:
            styles = nets.reference_style(to_float(references.to(device)), labels)
        for style, reference in zip(styles, references, strict=True):
            outputs = to_uint8(finite(nets.decode(encoded, style.expand(len(sources), -1))))
            rows.append([reference, *outputs.cpu()])
    return tiles(rows if mode == "reference" else [row[1:] for row in rows])


def _spread(images: ImageSet, domain: str, image_size: int, number: int, offset: float) -> Tensor:
    """Return `number` evenly spaced validation images, uint8 (number, 3, S, S)."""
    count = images.count("val", domain)
    indices = [int((place + offset) * count / number) for place in range(number)]
    return torch.cat([images.batch("val", domain, range(index, index + 1), image_size) for index in indices])


def tiles(rows: Sequence[Sequence[Tensor]]) -> Image.Image:
    """Arrange images (3, S, S) uint8 in rows, each enlarged to at least 64 px, with a gap below the first row."""
    size = rows[0][0].shape[-1]
    tile = max(size, _TILE)
    sheet = Image.new("RGB", (len(rows[0]) * tile, len(rows) * tile + _GAP), "white")
    for r, row in enumerate(rows):
        for c, tensor in enumerate(row):
            image = Image.fromarray(tensor.permute(1, 2, 0).numpy())
            sheet.paste(image.resize((tile, tile), Image.Resampling.NEAREST), (c * tile, r * tile + _GAP * (r > 0)))
    return sheet
