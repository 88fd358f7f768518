"""Sample grids: sources across, styles down."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from sg2bench.data.images import ImageSet
from sg2bench.evaluation.translate import Mode, to_float, to_uint8
from sg2bench.models.networks import Networks

_TILE = 64
_GAP = 4


@torch.inference_mode()
def grid(
    nets: Networks, images: ImageSet, mode: Mode, image_size: int, per_domain: int = 3, styles_per_domain: int = 2
) -> Image.Image:
    """The first validation images of every domain (top row) in styles of every domain (one row each).

    At most 8 domains are shown. In reference mode the left column shows the references, the last validation images.
    The same sources, latents and references for every model of an image set.
    """
    nets.eval()
    device = next(nets.parameters()).device
    domains = images.domains[:8]
    sources = torch.cat(
        [
            images.batch("val", domain, range(min(per_domain, images.count("val", domain))), image_size)
            for domain in domains
        ]
    )
    encoded = nets.generator.encode(to_float(sources.to(device)))
    blank = torch.full((3, image_size, image_size), 255, dtype=torch.uint8)
    latents = np.random.default_rng(0)
    rows = [[blank, *sources]]
    for label, domain in enumerate(domains):
        for style_index in range(styles_per_domain):
            corner, style = blank, None
            y = torch.tensor([label], device=device)
            if mode == "latent":
                latent = torch.from_numpy(
                    latents.standard_normal((1, nets.mapping_network.latent_dim), dtype=np.float32)
                )
                style = nets.mapping_network(latent.to(device), y)
            else:
                last = images.count("val", domain) - 1
                index = max(0, last - style_index)
                reference = images.batch("val", domain, range(index, index + 1), image_size)
                corner = reference[0]
                style = nets.style_encoder(to_float(reference.to(device)), y)
            outputs = to_uint8(nets.generator.decode(encoded, style.expand(len(sources), -1)))
            rows.append([corner, *outputs.cpu()])
    return _tiles(rows if mode == "reference" else [row[1:] for row in rows])


def _tiles(rows: Sequence[Sequence[Tensor]]) -> Image.Image:
    """Images (3, S, S) uint8 in rows, each enlarged to at least 64 px, with a gap below the first row."""
    size = rows[0][0].shape[-1]
    tile = max(size, _TILE)
    sheet = Image.new("RGB", (len(rows[0]) * tile, len(rows) * tile + _GAP), "white")
    for r, row in enumerate(rows):
        for c, tensor in enumerate(row):
            image = Image.fromarray(tensor.permute(1, 2, 0).numpy())
            sheet.paste(image.resize((tile, tile), Image.Resampling.NEAREST), (c * tile, r * tile + _GAP * (r > 0)))
    return sheet
