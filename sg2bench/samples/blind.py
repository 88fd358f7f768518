"""Pairs of two models' outputs for the same source and reference, in a random order of sides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from sg2bench.data.images import ImageSet
from sg2bench.evaluation.outputs import finite, to_float, to_uint8
from sg2bench.models.networks import Networks


@dataclass(frozen=True)
class Pair:
    """A source and a reference, by `domain/number` and as images, with the outputs of two models. `left` is the index,
    0 or 1, of the model whose output is on the left.
    """

    source: str
    reference: str
    left: int
    images: tuple[Image.Image, Image.Image, Image.Image, Image.Image]
    """Source, reference, left output, right output."""


def choose(images: ImageSet, number: int, seed: int) -> list[tuple[str, int, str, int]]:
    """Draw sources and references among validation images, each as domain and index, without repetition.

    Ordered pairs of domains occur equally often, as far as `number` allows. Raises ValueError if there
    are not enough combinations for that.
    """
    rng, found = np.random.default_rng(seed), dict[tuple[str, int, str, int], None]()
    directions = [(source, target) for source in images.domains for target in images.domains if source != target]
    counts = {domain: images.count("val", domain) for domain in images.domains}
    most = len(directions) * min(counts[source] * counts[target] for source, target in directions)
    if number > most:
        raise ValueError(
            f"--pairs {number}: these images allow at most {most}, the same number for each pair of domains"
        )
    for turn in range(number):
        source, target = directions[turn % len(directions)]
        while True:
            drawn = source, int(rng.integers(counts[source])), target, int(rng.integers(counts[target]))
            if drawn not in found:
                found[drawn] = None
                break
    return [list(found)[place] for place in rng.permutation(number)]


def pairs(models: Sequence[Networks], images: ImageSet, image_size: int, number: int, seed: int) -> Iterator[Pair]:
    """Yield `number` pairs. The seed alone decides which, in what order, and on which side each model is.

    Raises ValueError like `choose`, and for a model that takes no references.
    """
    if not all(nets.condition.takes_references for nets in models):
        raise ValueError("pairs need references, which one of the two models does not take (model.condition)")
    sides = np.random.default_rng([seed, 1]).integers(2, size=number)
    for (source, index, target, of_reference), left in zip(choose(images, number, seed), sides.tolist(), strict=True):
        given = images.batch("val", source, [index], image_size)
        reference = images.batch("val", target, [of_reference], image_size)
        outputs = [_output(nets, given, reference, images.domains.index(target)) for nets in models]
        shown = [given, reference, outputs[left], outputs[1 - left]]
        first, second, third, fourth = (Image.fromarray(each[0].permute(1, 2, 0).numpy()) for each in shown)
        yield Pair(f"{source}/{index}", f"{target}/{of_reference}", left, (first, second, third, fourth))


@torch.inference_mode()
def _output(nets: Networks, source: Tensor, reference: Tensor, label: int) -> Tensor:
    """Translate one source by one reference, uint8 (1, 3, S, S)."""
    nets.eval()
    device = next(nets.parameters()).device
    style = nets.reference_style(to_float(reference.to(device)), torch.tensor([label], device=device))
    return to_uint8(finite(nets.decode(nets.encode(to_float(source.to(device))), style))).cpu()
