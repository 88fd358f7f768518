"""Guidance: which sources are translated, in which order, by which latents or references.

It depends only on the seed and on counts.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sg2bench.catalog import Mode
from sg2bench.config import Evaluate
from sg2bench.data.images import ImageSet

Pair = tuple[str, str]
Part = Literal["all", "even", "odd"]
"""Part of the sources that is translated: all, or every other one, by the parity of their index."""
HALVES: tuple[Part, ...] = ("even", "odd")


@dataclass(frozen=True)
class Guidance:
    """Inputs of a pair's outputs: `sources` (n,), indices of validation images of the source domain, and either
    `latents` float32 (n, outputs, latent_dim) or `references` (n, outputs), indices of validation images of the target.
    """

    sources: NDArray[np.int64]
    latents: NDArray[np.float32] | None = None
    references: NDArray[np.int64] | None = None


def guide(images: ImageSet, evaluate: Evaluate, mode: Mode, latent_dim: int) -> dict[Pair, Guidance]:
    """Return the guidance of every ordered pair (source, target). Raises ValueError for too few references."""
    as_published = evaluate.as_published
    if mode == "reference":
        refuse_too_few_references(images, evaluate)
    if as_published and mode == "reference":
        return published(images, evaluate, shuffle=True)
    return {
        (source, target): _each_alike(images, evaluate, mode, source, target, latent_dim, shuffle=as_published)
        for target in images.domains
        for source in images.domains
        if source != target
    }


def take(guidance: Mapping[Pair, Guidance], part: Part) -> dict[Pair, Guidance]:
    """Reduce guidance to a part of the sources, the same in every pair and mode; latents and references are kept."""
    return {pair: given if part == "all" else _half(given, part == "odd") for pair, given in guidance.items()}


def _half(given: Guidance, odd: bool) -> Guidance:
    chosen = given.sources % 2 == odd
    return replace(
        given,
        sources=given.sources[chosen],
        latents=None if given.latents is None else given.latents[chosen],
        references=None if given.references is None else given.references[chosen],
    )


def refuse_too_few_references(images: ImageSet, evaluate: Evaluate) -> None:
    """Raise ValueError if a domain has fewer references than a source has outputs (as published: than a batch).

    Two outputs in the style of one reference look alike, which LPIPS would count as a lack of diversity.
    """
    for domain in images.domains:
        count = images.count("val", domain)
        if evaluate.as_published and count < evaluate.batch_size:
            raise ValueError(
                f"protocol paper takes references in full batches of {evaluate.batch_size}, but val/{domain} has only "
                f"{count} images; add some, or lower evaluate.batch_size (which changes the protocol's hash)"
            )
        if not evaluate.as_published and count < evaluate.outputs_per_source:
            raise ValueError(
                f"val/{domain} has {count} images, but the {evaluate.outputs_per_source} outputs of a source need as "
                f"many different references: add some, set evaluate.outputs_per_source to {count} or less, or "
                "evaluate.modes to [latent]"
            )


def source_count(images: ImageSet, evaluate: Evaluate, domain: str) -> int:
    available = images.count("val", domain)
    return min(available, evaluate.sources or available)


def _each_alike(
    images: ImageSet, evaluate: Evaluate, mode: Mode, source: str, target: str, latent_dim: int, shuffle: bool
) -> Guidance:
    """Draw standard normal latents, or random references, none twice for a source.

    The draws of a pair do not depend on what else is evaluated.
    """
    count, outputs = source_count(images, evaluate, source), evaluate.outputs_per_source
    rng = np.random.default_rng([evaluate.seed, zlib.crc32(f"{mode}:{source}:{target}".encode())])
    if mode == "latent":
        latents = rng.standard_normal((count * outputs, latent_dim), dtype=np.float32)
        return Guidance(_order(count, rng if shuffle else None), latents=latents.reshape(count, outputs, latent_dim))
    references = images.count("val", target)
    chosen = [rng.permutation(references)[:outputs] for _ in range(count)]
    return Guidance(np.arange(count), references=np.stack(chosen))


def published(images: ImageSet, evaluate: Evaluate, shuffle: bool) -> dict[Pair, Guidance]:
    """Return reference guidance in the order of the published evaluation; shuffled as published, or in name order.

    Sources come in batches. Each output of a batch takes the next full batch of the target's references: source `i`
    gets reference `i`. All outputs, batches and source domains of a target share one pass over its references. At its
    end the pass starts again, reshuffled if `shuffle`. A last, incomplete batch of references is left out.
    """
    size, outputs = evaluate.batch_size, evaluate.outputs_per_source
    found = {}
    for target in images.domains:
        count = images.count("val", target)
        rng = np.random.default_rng([evaluate.seed, zlib.crc32(f"paper:{target}".encode())]) if shuffle else None
        batches = _reference_batches(count, size, rng)
        for source in images.domains:
            if source != target:
                number = source_count(images, evaluate, source)
                order = _order(number, rng)
                references = np.empty((number, outputs), np.int64)
                for start in range(0, number, size):
                    stop = min(start + size, number)
                    for output in range(outputs):
                        references[start:stop, output] = next(batches)[: stop - start]
                found[source, target] = Guidance(order, references=references)
    return found


def _reference_batches(count: int, size: int, rng: np.random.Generator | None) -> Iterator[NDArray[np.int64]]:
    while True:
        order = _order(count, rng)
        for start in range(0, count - size + 1, size):
            yield order[start : start + size]


def _order(count: int, rng: np.random.Generator | None) -> NDArray[np.int64]:
    return np.arange(count) if rng is None else rng.permutation(count)
