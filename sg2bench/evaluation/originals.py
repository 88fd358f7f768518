"""Originals: the images that a pair's outputs are compared with, that is sources, references and right images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sg2bench.data.critters import as_vector
from sg2bench.data.images import ImageSet, as_tensor

Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Originals:
    """Validation images of a pair of domains by index, uint8 (n, 3, S, S) on the device."""

    images: ImageSet
    source: str
    target: str
    translated: Indices
    """Indices of the sources that are translated."""
    image_size: int
    device: torch.device

    def sources(self, indices: Indices) -> Tensor:
        return self._batch(self.source, indices)

    def references(self, indices: Indices) -> Tensor:
        return self._batch(self.target, indices)

    def content(self) -> dict[int, str | int]:
        """Return an identifier of the content of each translated source, by index: its name, or the index."""
        known = self.images.content
        return {int(index): known(self.source, int(index)) if known else int(index) for index in self.translated}

    def truths(self, sources: Indices, references: Indices) -> tuple[Tensor, NDArray[np.bool_]]:
        """Return the right images of sources (n,) and references (n, outputs), and which exist, (n * outputs,)."""
        assert self.images.truth is not None
        found = [
            self.images.truth(self.source, int(source), self.target, int(reference))
            for source, of_source in zip(sources, references, strict=True)
            for reference in of_source
        ]
        known = [image for image in found if image is not None]
        none = torch.empty((0, 3, self.image_size, self.image_size), dtype=torch.uint8)
        tensor = as_tensor(known, self.image_size) if known else none
        return tensor.to(self.device), np.array([image is not None for image in found])

    def factors(self, domain: str, indices: Indices) -> NDArray[np.float64]:
        """Return the factors of validation images, (n, 14): see `data.critters.FACTORS`."""
        assert self.images.factors is not None
        return np.stack([as_vector(self.images.factors("val", domain, int(index))) for index in indices])

    def _batch(self, domain: str, indices: Indices) -> Tensor:
        return self.images.batch("val", domain, indices.tolist(), self.image_size).to(self.device)
