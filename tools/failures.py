"""Planted failures: images in place of a model's outputs that are right except for one thing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch import Tensor

from sg2bench.catalog import Mode
from sg2bench.data import critters
from sg2bench.data.critters import Factors
from sg2bench.evaluation.evaluator import Evaluator
from sg2bench.evaluation.guidance import Pair, guide
from sg2bench.evaluation.originals import Originals
from sg2bench.evaluation.values import Value, means

BLUR_PX, NOISE_LEVELS = 1.0, 20.0
"""Standard deviations of the Gaussian filter and of the Gaussian noise."""
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class Asked:
    """The requested outputs of a pair: translations of `sources` (n,) in the style of `references` (n, outputs)."""

    originals: Originals
    sources: Indices
    references: Indices
    rng: np.random.Generator


def right(asked: Asked) -> Tensor:
    """Return the right images, uint8 (n * outputs, 3, S, S)."""
    images, known = asked.originals.truths(asked.sources, asked.references)
    assert known.all()
    return images


def blurred(asked: Asked) -> Tensor:
    images = right(asked).numpy().astype(np.float32)
    return _to_bytes(gaussian_filter(images, (0, 0, BLUR_PX, BLUR_PX), mode="nearest"))


def noisy(asked: Asked) -> Tensor:
    images = right(asked).numpy()
    return _to_bytes(images + NOISE_LEVELS * asked.rng.standard_normal(images.shape, np.float32))


def wrong_domain(asked: Asked) -> Tensor:
    """Draw the source's species, in the reference's style."""
    return _drawn(asked, asked.originals.source, critters.mixed)


def leaked_style(asked: Asked) -> Tensor:
    """Draw the target's species, in a style halfway between the source's and the reference's."""
    return _drawn(asked, asked.originals.target, lambda pose, style: critters.mixed(pose, _blended(pose, style)))


def _drawn(asked: Asked, domain: str, made_of: Callable[[Factors, Factors], Factors]) -> Tensor:
    """Draw critters of a domain from factors computed from those of source and reference."""
    originals, factors = asked.originals, asked.originals.images.factors
    assert factors is not None
    images = []
    for source, of_source in zip(asked.sources, asked.references, strict=True):
        pose = factors("val", originals.source, int(source))
        for reference in of_source:
            style = factors("val", originals.target, int(reference))
            images.append(critters.draw(domain, made_of(pose, style), originals.image_size))
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)


def _blended(one: Factors, other: Factors) -> Factors:
    """Average the colours and stripes of two critters."""

    def colour(part: str) -> tuple[int, int, int]:
        red, green, blue = ((a + b) // 2 for a, b in zip(getattr(one, part), getattr(other, part), strict=True))
        return red, green, blue

    stripes = (one.stripes + other.stripes) // 2
    return replace(one, fur=colour("fur"), eyes=colour("eyes"), background=colour("background"), stripes=stripes)


def lost_pose(asked: Asked) -> Tensor:
    """Return right images with the pose of the next source."""
    return right(replace(asked, sources=np.roll(asked.sources, 1)))


def ignored_reference(asked: Asked) -> Tensor:
    """Return right images in the styles of the next source's references."""
    return right(replace(asked, references=np.roll(asked.references, 1, 0)))


def one_style(asked: Asked) -> Tensor:
    """Return right images in the style of one reference."""
    return right(replace(asked, references=np.full_like(asked.references, asked.references[0, 0])))


def copies(asked: Asked) -> Tensor:
    """Return random training images of the target."""
    originals = asked.originals
    count = originals.images.count("train", originals.target)
    chosen = asked.rng.integers(0, count, asked.references.size)
    return originals.images.batch("train", originals.target, chosen.tolist(), originals.image_size)


def untranslated(asked: Asked) -> Tensor:
    return asked.originals.sources(asked.sources.repeat(asked.references.shape[1]))


def mean_image(asked: Asked) -> Tensor:
    """Return the mean of the target's training images."""
    originals = asked.originals
    train = range(originals.images.count("train", originals.target))
    images = originals.images.batch("train", originals.target, train, originals.image_size)
    return images.double().mean(0).round().to(torch.uint8).expand(asked.references.size, -1, -1, -1)


Translator = Callable[[Asked], Tensor]


def measured(evaluator: Evaluator, translator: Translator, share: float = 1.0) -> list[Value]:
    """Measure a translator, by pair and averaged over pairs, on the first `share` of the sources.

    In mode latent, its styles are those of other references, which the evaluator does not know.
    """
    values = []
    for mode in evaluator.evaluate.modes:
        for pair, asked in _asked(evaluator, mode, share).items():
            known, outputs = asked.references if mode == "reference" else None, asked.references.shape[1]
            batches = torch.split(translator(asked), max(1, evaluator.images_per_batch // outputs) * outputs)
            values += evaluator.pair(mode, *pair, batches, asked.sources, outputs, known)
    return values + means(values)


def _asked(evaluator: Evaluator, mode: Mode, share: float) -> dict[Pair, Asked]:
    evaluate, found = evaluator.evaluate, {}
    if mode == "latent":
        evaluate = evaluate.model_copy(update={"seed": evaluate.seed + 1000})
    for pair, given in guide(evaluator.images, evaluate, "reference", latent_dim=1).items():
        assert given.references is not None
        some = slice(round(share * len(given.sources)))
        originals = evaluator.originals(*pair, given.sources[some])
        rng = np.random.default_rng([evaluate.seed, *"".join(pair).encode()])
        found[pair] = Asked(originals, given.sources[some], given.references[some], rng)
    return found


def _to_bytes(images: NDArray[np.float32]) -> Tensor:
    return torch.from_numpy(images.round().clip(0, 255).astype(np.uint8))
