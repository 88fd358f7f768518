"""What all measures have in common: batches of a pair's outputs go in, estimates come out."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sg2bench.config import Evaluate
from sg2bench.evaluation.extractors import Extractor, Features
from sg2bench.evaluation.originals import Originals
from sg2bench.evaluation.outputs import to_uint8
from sg2bench.evaluation.uncertainty import Array, Estimate

REAL, FAKE, REFERENCE, HELD_OUT = "real", "fake", "reference", "held out"
"""Samples that an estimate has influences of: training images of the target, sources, references, validation images
of the target.
"""
Pooled = NDArray[np.float32]
Number = TypeVar("Number", np.float32, np.float64)


@dataclass(frozen=True, eq=False)
class Real:
    """Features (n, d) of a domain's training images, by one network."""

    features: Pooled
    domain: str = ""
    everyone: RealSet | None = None
    """The images of all domains, for measures that need those, or validation images."""


@dataclass(frozen=True, eq=False)
class Fake:
    """Features (sources * outputs, d) of outputs, those of a source in a row; with `references` (sources, outputs), the
    images that styles came from.
    """

    features: Pooled
    outputs: int = 1
    references: NDArray[np.int64] | None = None


class RealSet:
    """Features of all domains' real images, by one network, computed when they are first asked for."""

    def __init__(self, domains: Collection[str], train: Callable[[str], Pooled], val: Callable[[str], Pooled]) -> None:
        self.domains = tuple(domains)
        self._train, self._val = train, val
        self._known: dict[str, Real] = {}
        self._held_out: dict[str, Pooled] = {}

    def __getitem__(self, domain: str) -> Real:
        if domain not in self._known:
            self._known[domain] = Real(self._train(domain), domain, self)
        return self._known[domain]

    def held_out(self, domain: str) -> Pooled:
        """Of a domain's validation images."""
        if domain not in self._held_out:
            self._held_out[domain] = self._val(domain)
        return self._held_out[domain]


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
    """Of the target; None for measures that do not look at real images."""
    originals: Originals | None = None
    """None where nothing is known of the sources."""


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
        originals: Originals | None = None,
    ) -> None:
        self.raw, self.sources, self.references, self.originals = raw, sources, references, originals
        self.images = raw if raw.dtype == torch.uint8 else to_uint8(raw)
        self._extractors = extractors
        self._features: dict[tuple[str, bool], Features] = {}
        self._pooled: dict[tuple[str, bool], Pooled] = {}
        self._of_originals: dict[tuple[str, str], Features] = {}

    def features(self, task: Task) -> Features:
        """Of every output, by the task's network."""
        key = task.extractor, task.raw and self.raw.dtype != torch.uint8
        if key not in self._features:
            images = (self.raw + 1) * 127.5 if key[1] else self.images
            self._features[key] = self._pass(task.extractor, key[1], images)
        return self._features[key]

    def _pass(self, extractor: str, raw: bool, images: Tensor) -> Features:
        network = self._extractors[extractor]
        if (other := network.pass_of) is None:
            features: Features = network(images)
            return features
        if (other, raw) not in self._features:
            self._features[other, raw] = self._extractors[other](images)
        return network.view(self._features[other, raw])

    def pooled(self, task: Task) -> Pooled:
        """Pooled features of every output, (n * outputs, d), in memory of the CPU."""
        key = task.extractor, task.raw
        if key not in self._pooled:
            self._pooled[key] = self.features(task).pooled.cpu().numpy()
        return self._pooled[key]

    @cached_property
    def source_images(self) -> Tensor:
        """The sources, uint8 (n, 3, S, S)."""
        assert self.originals is not None
        return self.originals.sources(self.sources)

    @cached_property
    def truths(self) -> tuple[Tensor, NDArray[np.bool_]]:
        """The right images of the outputs that have one, uint8 (known, 3, S, S), and which do, (n * outputs,)."""
        assert self.originals is not None
        assert self.references is not None
        return self.originals.truths(self.sources, self.references)

    def features_of_sources(self, task: Task) -> Features:
        """Of every source, by the task's network."""
        return self._of("sources", task, lambda: self.source_images)

    def features_of_truths(self, task: Task) -> Features:
        """Of every right image, by the task's network."""
        return self._of("truths", task, lambda: self.truths[0])

    def _of(self, what: str, task: Task, images: Callable[[], Tensor]) -> Features:
        key = what, task.extractor
        if key not in self._of_originals:
            self._of_originals[key] = self._extractors[task.extractor](images())
        return self._of_originals[key]


class Measure(ABC):
    """Given a pair's batches, one after the other, ends in an estimate of each of its quantities."""

    needs_originals: ClassVar[bool] = False
    """Whether it compares outputs with their sources, references or right images, and so has reference lines that are
    such images in the place of outputs.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        self._sources: list[NDArray[np.int64]] = []
        self._references: list[NDArray[np.int64]] = []

    def add(self, batch: Batch) -> None:
        """Take a batch in."""
        self._sources.append(batch.sources)
        if batch.references is not None:
            self._references.append(batch.references)
        self.look_at(batch)

    @abstractmethod
    def look_at(self, batch: Batch) -> None:
        """Keep what the measure needs of a batch's outputs."""

    @cached_property
    def order(self) -> NDArray[np.int64]:
        """Places (sources,) of all sources among those that came, by their indices."""
        return np.argsort(np.concatenate(self._sources))

    @property
    def references(self) -> NDArray[np.int64] | None:
        """Of all outputs, (sources, outputs), by the indices of the sources."""
        return np.concatenate(self._references)[self.order] if self._references else None

    def by_source(self, batches: Sequence[NDArray[Number]]) -> NDArray[Number]:
        """What was kept of each batch, (sources * k, …) -> of all, (sources, k, …), by the indices of the sources."""
        whole = np.concatenate(batches)
        return whole.reshape(len(self.order), -1, *whole.shape[1:])[self.order]

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

    def look_at(self, batch: Batch) -> None:
        self._pooled.append(batch.pooled(self.task))

    def estimates(self, quantities: Collection[str]) -> dict[str, Estimate]:
        assert self.task.real is not None
        features = self.by_source(self._pooled)
        fake = Fake(features.reshape(-1, features.shape[-1]), self.task.outputs, self.references)
        return self.compare(quantities, self.task.real, fake)

    @classmethod
    @abstractmethod
    def compare(cls, quantities: Collection[str], real: Real, fake: Fake) -> dict[str, Estimate]:
        """Estimates with influences by real image, by source and, where there are references, by reference."""


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


def of_units(value: float, each_real: Array, each_fake: Array, fake: Fake) -> Estimate:
    """An estimate with influences by real image (n,) and by output (sources * outputs,)."""
    of_fake = influence_of_outputs(each_fake.reshape(-1, fake.outputs), fake.references)
    return Estimate(value, {REAL: each_real} | of_fake)


def influence_of_outputs(each: Array, references: NDArray[np.int64] | None) -> dict[str, Array]:
    """Influences of outputs (sources, outputs), together by source and, with references of that shape, by reference."""
    influence = {FAKE: each.sum(1)}
    if references is not None and len(used := np.unique(references)) > 1:
        influence[REFERENCE] = np.bincount(np.searchsorted(used, references.ravel()), weights=each.ravel())
    return influence


class OutputMeasure(Measure):
    """A measure whose quantities are means of one number per output."""

    needs_originals = True

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self._each: list[dict[str, Array]] = []

    @abstractmethod
    def each(self, batch: Batch) -> dict[str, Array]:
        """By quantity, a number for every output of a batch, (n * outputs,); NaN for an output that has none."""

    def look_at(self, batch: Batch) -> None:
        self._each.append(self.each(batch))

    def estimates(self, quantities: Collection[str]) -> dict[str, Estimate]:
        return {
            quantity: self.estimate(self.by_source([each[quantity] for each in self._each]))
            for quantity in self._each[0]
            if quantity in quantities
        }

    def estimate(self, each: Array) -> Estimate:
        """The mean of numbers (sources, outputs)."""
        return replace(mean_of_outputs(each, self.references), bounds=(0.0, np.inf))


def share_of_outputs(each: Array, references: NDArray[np.int64] | None = None) -> Estimate:
    """The share of outputs, of numbers 0 or 1 (sources, outputs), with influences as `mean_of_outputs` has them."""
    least = 3 / len(each)  # the rule of three
    return replace(mean_of_outputs(each, references), least=least, bounds=(0.0, 1.0))


def mean_of_outputs(each: Array, references: NDArray[np.int64] | None = None) -> Estimate:
    """The mean over outputs of numbers (sources, outputs), NaN where there is none, with influences by source and, with
    `references` (sources, outputs), by reference. Raises ValueError if fewer than 2 sources have a number.
    """
    known = ~np.isnan(each)
    if (sources := int(known.any(1).sum())) < 2:
        raise ValueError(f"right images are needed for 2 sources or more, and there are some for {sources}")
    count = int(known.sum())
    value = float(each[known].sum() / count)
    influence = influence_of_outputs(np.where(known, each - value, 0) / count, references)
    return Estimate(value, influence, images=None if known.all() else count)
