"""Example translations, the same for every model of an image set: source, reference, right image, output."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from sg2bench.data.images import ImageSet, as_tensor
from sg2bench.evaluation.outputs import finite, to_float, to_uint8
from sg2bench.layout import EXAMPLES_ACROSS
from sg2bench.models.networks import Networks

Example = tuple[str, int, str, int]
"""Domain and index of a source, then of a reference; both are validation images."""


@torch.inference_mode()
def examples(nets: Networks, images: ImageSet, image_size: int) -> Image.Image:
    """Draw eight translations by reference, one per column, without gaps or resizing.

    Rows: source, reference, right image (if the set has right images; white where one is missing), output.
    """
    nets.eval()
    device = next(nets.parameters()).device
    chosen = choose(images)
    sources, references = (
        torch.cat([images.batch("val", domain, [index], image_size) for domain, index in side])
        for side in ([each[:2] for each in chosen], [each[2:] for each in chosen])
    )
    labels = torch.tensor([images.domains.index(target) for _, _, target, _ in chosen], device=device)
    styles = nets.reference_style(to_float(references.to(device)), labels)
    outputs = to_uint8(finite(nets.decode(nets.encode(to_float(sources.to(device))), styles))).cpu()
    right = [] if images.truth is None else [_right_images(images, chosen, image_size)]
    return _sheet(torch.stack([sources, references, *right, outputs]))


def choose(images: ImageSet) -> list[Example]:
    """Choose sources and references spread over the validation images; the choice depends only on the set.

    Each of the first eight domains serves as source and as target. If a source has no right image, the next source that
    has one is taken.
    """
    domains = images.domains[:EXAMPLES_ACROSS]
    found = []
    for column in range(EXAMPLES_ACROSS):
        turn, label = divmod(column, len(domains))
        source, target = domains[label], domains[(label + 1 + turn % (len(domains) - 1)) % len(domains)]
        reference = _place(column + EXAMPLES_ACROSS / 2 + 0.5, images.count("val", target))
        count = images.count("val", source)
        first = _place(column, count)
        order = [(first + step) % count for step in range(count)]
        known = (index for index in order if images.truth and images.truth(source, index, target, reference))
        found.append((source, next(known, first), target, reference))
    return found


def _place(column: float, count: int) -> int:
    """Return the index of the image that is as far along a domain's images as the column is along the row."""
    return int(column % EXAMPLES_ACROSS * count / EXAMPLES_ACROSS)


def _right_images(images: ImageSet, chosen: list[Example], image_size: int) -> Tensor:
    assert images.truth is not None
    blank = Image.new("RGB", (image_size, image_size), "white")
    return as_tensor([images.truth(*example) or blank for example in chosen], image_size)


def _sheet(rows: Tensor) -> Image.Image:
    """Join images (rows, columns, 3, S, S) uint8 into one, without gaps."""
    down, across, _, side, _ = rows.shape
    pixels = rows.permute(0, 3, 1, 4, 2).reshape(down * side, across * side, 3)
    return Image.fromarray(np.ascontiguousarray(pixels.numpy()))
