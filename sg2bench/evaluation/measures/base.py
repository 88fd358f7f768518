"""Base classes of measures, which take batches of a pair's outputs and return estimates."""

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
"""Samples whose influences an estimate holds: training images of the target, sources, references, validation images of
the target.
"""
Pooled = NDArray[np.float32]
Number = TypeVar("Number", np.float32, np.float64)


@dataclass(frozen=True, eq=False)
class Real:
    """Features (n, d) of a domain's training images from one network."""

    features: Pooled
    domain: str = ""
    all_domains: RealSet | None = None
    """Features of all domains' training and validation images, for measures that need more than the target's training
    images.
    """


@dataclass(frozen=True, eq=False)
class Fake:
    """Features of outputs (sources * outputs, d), those of a source in a row, and the indices of the images that gave
    their styles, `references` (sources, outputs), if any.
    """

    features: Pooled
    outputs: int = 1
    references: NDArray[np.int64] | None = None


class RealSet:
    """Features of all domains' real images from one network, computed on first access."""

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
        """Return the features of a domain's validation images."""
        if domain not in self._held_out:
            self._held_out[domain] = self._val(domain)
        return self._held_out[domain]


@dataclass(frozen=True)
class Task:
    """What a measure needs to know about a pair besides its outputs."""

    evaluate: Evaluate
    extractor: str
    """Name of the network that computes the features."""
    raw: bool
    """Whether the network sees raw generator outputs instead of 8-bit images."""
    network: Extractor
    outputs: int
    """Outputs per source."""
    real: Real | None
    """Real images of the target; None for measures that do not use them."""
    originals: Originals | None = None
    """Sources, references and right images; None if they are not known."""


class Batch:
    """Outputs of some sources of a pair, those of a source in a row; features are computed once for all measures.

    `raw` (n * outputs, 3, S, S) is uint8, or float32 with black -1 and white 1. `sources` (n,) and `references`
    (n, outputs) are indices of validation images of source and target; None for styles from latents.
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
        """Return the features of every output from the task's network."""
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
        """Return the pooled features of every output, (n * outputs, d), on the CPU."""
        key = task.extractor, task.raw
        if key not in self._pooled:
            self._pooled[key] = self.features(task).pooled.cpu().numpy()
        return self._pooled[key]

    @cached_property
    def source_images(self) -> Tensor:
        """Images of the sources, uint8 (n, 3, S, S)."""
        assert self.originals is not None
        return self.originals.sources(self.sources)

    @cached_property
    def truths(self) -> tuple[Tensor, NDArray[np.bool_]]:
        """The right images that exist, uint8 (known, 3, S, S), and which outputs have one, (n * outputs,)."""
        assert self.originals is not None
        assert self.references is not None
        return self.originals.truths(self.sources, self.references)

    def features_of_sources(self, task: Task) -> Features:
        """Return the features of every source from the task's network."""
        return self._of("sources", task, lambda: self.source_images)

    def features_of_truths(self, task: Task) -> Features:
        """Return the features of every right image from the task's network."""
        return self._of("truths", task, lambda: self.truths[0])

    def _of(self, what: str, task: Task, images: Callable[[], Tensor]) -> Features:
        key = what, task.extractor
        if key not in self._of_originals:
            self._of_originals[key] = self._extractors[task.extractor](images())
        return self._of_originals[key]


class Measure(ABC):
    """Takes a pair's batches one by one, then estimates its quantities."""

    needs_originals: ClassVar[bool] = False
    """Whether it compares outputs with their sources, references or right images. If so, its reference lines put such
    images in place of outputs.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        self._sources: list[NDArray[np.int64]] = []
        self._references: list[NDArray[np.int64]] = []

    def add(self, batch: Batch) -> None:
        """Add a batch."""
        self._sources.append(batch.sources)
        if batch.references is not None:
            self._references.append(batch.references)
        self.look_at(batch)

    @abstractmethod
    def look_at(self, batch: Batch) -> None:
        """Keep what the measure needs of a batch's outputs."""

    @cached_property
    def order(self) -> NDArray[np.int64]:
        """Permutation (sources,) that sorts all sources by their indices."""
        return np.argsort(np.concatenate(self._sources))

    @property
    def references(self) -> NDArray[np.int64] | None:
        """References of all outputs, (sources, outputs), sorted by source; None for styles from latents."""
        return np.concatenate(self._references)[self.order] if self._references else None

    def by_source(self, batches: Sequence[NDArray[Number]]) -> NDArray[Number]:
        """Concatenate arrays of batches, (sources * k, …) each, into (sources, k, …), sorted by source."""
        whole = np.concatenate(batches)
        return whole.reshape(len(self.order), -1, *whole.shape[1:])[self.order]

    @abstractmethod
    def estimates(self, quantities: Collection[str]) -> dict[str, Estimate]:
        """Return values of the quantities with their influences. Raises ValueError if there are too few images."""

    @staticmethod
    def shortage(quantity: str, real: int, sources: int, outputs: int, dim: int) -> str | None:
        """Return what a quantity needs, if these are too few real images, sources or outputs per source for features of
        `dim` dimensions; else None.
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
        """Return estimates with influences of real images, of sources and, if there are any, of references."""


def measure(name: str) -> type[Measure]:
    """Return the measure defined by a module of this package."""
    return cast(type[Measure], importlib.import_module(f"sg2bench.evaluation.measures.{name}").Measure)


def shortage(measured: type[Measure], quantity: str, real: int, sources: int, outputs: int, dim: int) -> str | None:
    """Return what a quantity of a measure needs, if there are too few images; else None."""
    if min(real, sources) < 2:
        return f"2 real images and 2 sources of every domain, got {real} and {sources}"
    return measured.shortage(quantity, real, sources, outputs, dim)


def of_units(value: float, each_real: Array, each_fake: Array, fake: Fake) -> Estimate:
    """Return an estimate from the influences of real images (n,) and outputs (sources * outputs,)."""
    of_fake = influence_of_outputs(each_fake.reshape(-1, fake.outputs), fake.references)
    return Estimate(value, {REAL: each_real} | of_fake)


def influence_of_outputs(each: Array, references: NDArray[np.int64] | None) -> dict[str, Array]:
    """Sum influences of outputs (sources, outputs), NaN for those that do not count, by source and, given references of
    that shape, by reference. A source or reference without an output that counts has NaN.
    """
    known = ~np.isnan(each)
    influence = {FAKE: np.where(known.any(1), np.nansum(each, 1), np.nan)}
    if references is not None and len(used := np.unique(references[known])) > 1:
        influence[REFERENCE] = np.full(used[-1] + 1, np.nan)
        influence[REFERENCE][used] = np.bincount(references[known], weights=each[known])[used]
    return influence


class OutputMeasure(Measure):
    """A measure whose quantities are means over outputs."""

    needs_originals = True

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self._each: list[dict[str, Array]] = []

    @abstractmethod
    def each(self, batch: Batch) -> dict[str, Array]:
        """Return, by quantity, a number for every output of a batch, (n * outputs,); NaN where it is undefined."""

    def look_at(self, batch: Batch) -> None:
        self._each.append(self.each(batch))

    def estimates(self, quantities: Collection[str]) -> dict[str, Estimate]:
        return {
            quantity: self.estimate(self.by_source([each[quantity] for each in self._each]))
            for quantity in self._each[0]
            if quantity in quantities
        }

    def estimate(self, each: Array) -> Estimate:
        """Estimate the mean of numbers (sources, outputs)."""
        return replace(mean_of_outputs(each, self.references), bounds=(0.0, np.inf))


def share_of_outputs(each: Array, references: NDArray[np.int64] | None = None) -> Estimate:
    """Estimate a share of outputs from numbers 0 or 1 (sources, outputs), with influences as in `mean_of_outputs`."""
    least = 3 / len(each)  # the rule of three
    return replace(mean_of_outputs(each, references), least=least, bounds=(0.0, 1.0))


def mean_of_outputs(each: Array, references: NDArray[np.int64] | None = None) -> Estimate:
    """Estimate the mean over outputs of numbers (sources, outputs), NaN where undefined.

    Influences are by source and, given `references` (sources, outputs), by reference. Raises ValueError if fewer than 2
    sources have a number.
    """
    known = ~np.isnan(each)
    if (sources := int(known.any(1).sum())) < 2:
        raise ValueError(f"right images are needed for 2 or more sources, but only {sources} have some")
    count = int(known.sum())
    value = float(each[known].sum() / count)
    influence = influence_of_outputs((each - value) / count, references)
    return Estimate(value, influence, images=None if known.all() else count)
