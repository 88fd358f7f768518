"""Outputs nearest to training images, to check by eye whether they are copies."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from sg2bench.evaluation.evaluator import Evaluator
from sg2bench.evaluation.guidance import Guidance, guide
from sg2bench.evaluation.measures.copies import unit
from sg2bench.evaluation.outputs import finite, style_codes, to_uint8, translate
from sg2bench.models.networks import Networks
from sg2bench.samples.grids import tiles

NUMBER = 8


class Near(NamedTuple):
    """An image with its nearest training image, both uint8 (3, S, S), and their distance relative to the usual one."""

    distance: float
    image: Tensor
    training: Tensor


@torch.inference_mode()
def neighbours(nets: Networks, evaluator: Evaluator) -> Image.Image | None:
    """Draw the outputs nearest to a training image of their target (first row) with that image (second row), then the
    validation images nearest to a training image in the same way. Return None if copies are not measured.

    Only the first latent output of each source is considered. Distances are those of `measures.copies`, divided by the
    median distance of the target's validation images.
    """
    extractor = next((extractor for name, extractor, _ in evaluator.groups if name == "copies"), None)
    if extractor is None:
        return None
    outputs, held_out = (
        heapq.nsmallest(NUMBER, found, key=lambda near: near.distance)
        for found in (_of_outputs(nets, evaluator, extractor), _of_held_out(evaluator, extractor))
    )
    columns = range(min(len(outputs), len(held_out)))
    sides = [[each[column] for column in columns] for each in (outputs, held_out)]
    return tiles([row for side in sides for row in ([n.image for n in side], [n.training for n in side])])


def _of_outputs(nets: Networks, evaluator: Evaluator, extractor: str) -> Iterator[Near]:
    images, size, step = evaluator.images, evaluator.image_size, evaluator.images_per_batch
    for (source, target), given in guide(images, evaluator.evaluate, "latent", nets.latent_dim).items():
        assert given.latents is not None
        first = Guidance(given.sources, latents=given.latents[:, :1])
        styles = style_codes(nets, images, first, target, step, size)
        for batch in translate(nets, images, source, first, styles, step, size):
            made = to_uint8(finite(batch))
            features = evaluator.extractors[extractor](made).pooled.cpu().numpy()
            yield from _near(evaluator, extractor, target, made, features)


def _of_held_out(evaluator: Evaluator, extractor: str) -> Iterator[Near]:
    for domain in evaluator.images.domains:
        features = evaluator.real[extractor].held_out(domain)
        images = evaluator.images.batch("val", domain, range(len(features)), evaluator.image_size)
        yield from _near(evaluator, extractor, domain, images, features)


def _near(
    evaluator: Evaluator, extractor: str, domain: str, images: Tensor, features: NDArray[np.float32]
) -> Iterator[Near]:
    real = evaluator.real[extractor]
    training = unit(real[domain].features)
    usual = np.median(1 - (unit(real.held_out(domain)) @ training.T).max(1))
    likeness = unit(features) @ training.T
    for image, place, distance in zip(images.cpu(), likeness.argmax(1), 1 - likeness.max(1), strict=True):
        index = int(place)
        nearest = evaluator.images.batch("train", domain, range(index, index + 1), evaluator.image_size)[0]
        yield Near(float(distance / max(usual, 1e-12)), image, nearest)
