"""What all measures have in common: batches of a pair's outputs go in, estimates come out."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sg2bench.config import Evaluate
from sg2bench.evaluation.extractors import Extractor, Features
from sg2bench.evaluation.outputs import to_uint8
from sg2bench.evaluation.uncertainty import Array, Estimate

REAL, FAKE, REFERENCE = "real", "fake", "reference"
"""Samples that an estimate has influences of: training images of the target, sources, references."""
Pooled = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Real:
    """Features (n, d) of a domain's training images, by one network."""

    features: Pooled


@dataclass(frozen=True)
class Task:
    """What a measure needs to know of the pair besides its outputs."""

    evaluate: Evaluate
    extractor: str
    """Name of the network whose features it looks at."""
    raw: bool
    """Whether the network sees what the generator gave, or images of 8 bits."""
    network: Extractor
    outputs: int
    """Of each source."""
    real: Real | None
    """None for measures that do not look at real images."""


class Batch:
    """Outputs of some sources of a pair, all of a source's in a row; features are computed once for all measures.

    `raw` (n * outputs, 3, S, S), uint8, or float32 with black -1 and white 1; `sources` (n,) and `references`
    (n, outputs) are indices of validation images of source and target; without references, a latent gave the style.
    """

    def __init__(
        self,
        raw: Tensor,
        sources: NDArray[np.int64],
        references: NDArray[np.int64] | None,
        extractors: Mapping[str, Extractor],
    ) -> None:
        self.raw, self.sources, self.references = raw, sources, references
        self.images = raw if raw.dtype == torch.uint8 else to_uint8(raw)
        self._extractors = extractors
        self._features: dict[tuple[str, bool], Features] = {}
        self._pooled: dict[tuple[str, bool], Pooled] = {}

    def features(self, task: Task) -> Features:
        """Of every output, by the task's network."""
        key = task.extractor, task.raw and self.raw.dtype != torch.uint8
        if key not in self._features:
            images = (self.raw + 1) * 127.5 if key[1] else self.images
            self._features[key] = self._extractors[task.extractor](images)
        return self._features[key]

    def pooled(self, task: Task) -> Pooled:
        """Pooled features of every output, (n * outputs, d), in memory of the CPU."""
        key = task.extractor, task.raw
        if key not in self._pooled:
            self._pooled[key] = self.features(task).pooled.cpu().numpy()
        return self._pooled[key]


class Measure(ABC):
    """Given a pair's batches, one after the other, ends in an estimate of each of its quantities."""

    def __init__(self, task: Task) -> None:
        self.task = task

    @abstractmethod
    def add(self, batch: Batch) -> None:
        """Take a batch in."""

    @abstractmethod
    def estimates(self, quantities: Collection[str]) -> dict[str, Estimate]:
        """Values of the quantities with their influences. Raises ValueError if there are too few images."""

    @staticmethod
    def shortage(quantity: str, real: int, sources: int, outputs: int, dim: int) -> str | None:
        """What a quantity needs and lacks with so many real images and sources of so many outputs each, on features of
        `dim` dimensions; None if it is enough.
        """
        return None


class FeatureMeasure(Measure):
    """A measure of the pooled features of outputs and of real images."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self._pooled: list[Pooled] = []
        self._sources: list[NDArray[np.int64]] = []
        self._references: list[NDArray[np.int64]] = []

    def add(self, batch: Batch) -> None:
        self._pooled.append(batch.pooled(self.task))
        self._sources.append(batch.sources)
        if batch.references is not None:
            self._references.append(batch.references)

    def estimates(self, quantities: Collection[str]) -> dict[str, Estimate]:
        assert self.task.real is not None
        order, outputs = np.argsort(np.concatenate(self._sources)), self.task.outputs
        fake = np.concatenate(self._pooled)
        fake = fake.reshape(len(order), outputs, -1)[order].reshape(fake.shape)
        references = np.concatenate(self._references)[order] if self._references else None
        return self.compare(quantities, self.task.real, fake, outputs, references)

    @classmethod
    @abstractmethod
    def compare(
        cls,
        quantities: Collection[str],
        real: Real,
        fake: Pooled,
        outputs: int = 1,
        references: NDArray[np.int64] | None = None,
    ) -> dict[str, Estimate]:
        """Estimates for fakes (sources * outputs, d), the outputs of a source in a row; with `references`
        (sources, outputs), the images that styles came from, also with their influences.
        """


def measure(name: str) -> type[Measure]:
    """The measure that a module of this package defines."""
    return cast(type[Measure], importlib.import_module(f"sg2bench.evaluation.measures.{name}").Measure)


def shortage(
    measured: type[Measure], quantities: Collection[str], real: int, sources: int, outputs: int, dim: int
) -> str | None:
    """What some quantities of a measure need and lack; None if it is enough."""
    if min(real, sources) < 2:
        return f"2 real images and 2 sources of every domain, got {real} and {sources}"
    lacks = (measured.shortage(quantity, real, sources, outputs, dim) for quantity in quantities)
    return next((lack for lack in lacks if lack), None)


def of_units(
    value: float, each_real: Array, each_fake: Array, outputs: int, references: NDArray[np.int64] | None
) -> Estimate:
    """An estimate with influences by real image and by source, all of its outputs together; and by reference."""
    influence = {REAL: each_real, FAKE: each_fake.reshape(-1, outputs).sum(1)}
    if references is not None and len(used := np.unique(references)) > 1:
        influence[REFERENCE] = np.bincount(np.searchsorted(used, references.ravel()), weights=each_fake)
    return Estimate(value, influence)
