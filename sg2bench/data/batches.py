"""Training batches: domain-balanced, augmented, and a pure function of seed and step."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch.utils.data import Dataset

from sg2bench.data.images import ImageSet


class Batch(NamedTuple):
    """Input of a training step: images float32 (N, 3, S, S) in [-1, 1], labels int64 (N,), latents float32 (N, L)."""

    source: torch.Tensor
    source_domain: torch.Tensor
    reference: torch.Tensor
    reference2: torch.Tensor
    target_domain: torch.Tensor
    latent: torch.Tensor
    latent2: torch.Tensor
    mix: torch.Tensor
    """Uniform in [0, 1), (N,): weights of the interpolation between real and fake images for a gradient penalty."""

    def to(self, device: torch.device, dtype: torch.dtype = torch.float32) -> Batch:
        """Move all tensors to `device` and convert images and latents to `dtype`."""
        return Batch(*(t.to(device, dtype if t.is_floating_point() else t.dtype, non_blocking=True) for t in self))

    def share(self, place: int, number: int) -> Batch:
        """Return part `place` of `number` equal parts."""
        return Batch(*(t.tensor_split(number)[place] for t in self))


class Batches(Dataset[Batch]):
    """Dataset whose item `i` is the batch of step `i`, whichever process loads it and in whatever order."""

    def __init__(
        self,
        images: ImageSet,
        seed: int,
        batch_size: int,
        image_size: int,
        latent_dim: int,
        crop_probability: float,
        mirror: bool = True,
    ) -> None:
        self.images = images
        self.seed = seed
        self.batch_size = batch_size
        self.image_size = image_size
        self.latent_dim = latent_dim
        self.crop_probability = crop_probability
        self.mirror = mirror

    def __getitem__(self, step: int) -> Batch:
        rng = np.random.default_rng([self.seed, step])
        source_domain = self._labels(rng)
        target_domain = self._labels(rng)
        latents = rng.standard_normal((2, self.batch_size, self.latent_dim), dtype=np.float32)
        source, reference, reference2 = (self._draw(d, rng) for d in (source_domain, target_domain, target_domain))
        return Batch(
            source,
            torch.from_numpy(source_domain),
            reference,
            reference2,
            torch.from_numpy(target_domain),
            torch.from_numpy(latents[0]),
            torch.from_numpy(latents[1]),
            torch.from_numpy(rng.random(self.batch_size, dtype=np.float32)),
        )

    def _labels(self, rng: np.random.Generator) -> np.ndarray:
        return rng.integers(len(self.images.domains), size=self.batch_size)

    def _draw(self, labels: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
        arrays = []
        for label in labels:
            domain = self.images.domains[label]
            image = self.images.image("train", domain, int(rng.integers(self.images.count("train", domain))))
            arrays.append(augment(image, self.image_size, self.crop_probability, rng, self.mirror))
        return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).contiguous().float().div_(127.5).sub_(1)


def augment(
    image: Image.Image, size: int, crop_probability: float, rng: np.random.Generator, mirror: bool = True
) -> np.ndarray:
    """Crop at random (area 0.8-1, ratio 0.9-1.1) with the given probability, resize, and flip half the time.

    Returns uint8 (size, size, 3). Paper, appendix: training details. `mirror` does not change how many random numbers
    are drawn.
    """
    box: tuple[float, float, float, float] = (0, 0, image.width, image.height)
    if rng.random() < crop_probability:
        box = _crop(image.width, image.height, rng)
    array = np.asarray(image.resize((size, size), Image.Resampling.BILINEAR, box=box))
    flip = rng.random() < 0.5
    return array[:, ::-1] if flip and mirror else array


def _crop(width: int, height: int, rng: np.random.Generator) -> tuple[float, float, float, float]:
    """Draw up to ten times for a crop that fits; fall back to the whole image."""
    for _ in range(10):
        area = width * height * rng.uniform(0.8, 1)
        ratio = math.exp(rng.uniform(math.log(0.9), math.log(1.1)))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if w <= width and h <= height:
            left, top = int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1))
            return left, top, left + w, top + h
    return 0, 0, width, height
