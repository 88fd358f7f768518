from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from sg2bench.config import Data
from sg2bench.data import sets
from sg2bench.evaluation.extractors import EXTRACTORS, AlexNet, Features
from sg2bench.evaluation.measures.base import FAKE, REFERENCE
from tests.evaluation.measures.known import in_memory, left_out, measured, originals_of
from tests.evaluation.measures.test_base import Stub, random_images
from tools import conformance

COUNT, OUTPUTS = 8, 2


class Colours(Stub):
    """Tells images apart by their mean colour."""

    def forward(self, images):
        return Features(F.normalize(super().forward(images).pooled - 0.5))


class Angles(Stub, AlexNet):
    """The stub in the place of AlexNet."""


def retrieval(outputs, originals, network=None, **how):
    return measured("retrieval", ["share"], outputs, originals, network=network or Colours(), **how)["share"]


def perceptual(outputs, originals, network=None, **how):
    return measured("sources", ["perceptual"], outputs, originals, network=network or Angles(), **how)["perceptual"]


@pytest.fixture
def originals():
    return originals_of(in_memory(val=COUNT), np.arange(COUNT))


def shown(originals, indices=None):
    """Outputs that are sources, by default each its own."""
    indices = np.arange(len(originals.translated)) if indices is None else np.asarray(indices)
    return originals.sources(originals.translated[indices])[:, None].repeat(1, OUTPUTS, 1, 1, 1)


def test_the_sources_themselves_are_all_found_at_no_distance(originals):
    found = retrieval(shown(originals), originals)
    assert (found.value, found.interval()) == (1, (1 - 3 / COUNT, 1))
    assert perceptual(shown(originals), originals).value == 0


@pytest.mark.parametrize(("swapped", "share"), [(0, 1), (2, 0.75), (4, 0.5), (8, 0)])
def test_outputs_of_other_sources_are_not_found(originals, swapped, share):
    """The first so many sources change places, two by two."""
    indices = np.arange(COUNT)
    indices[:swapped] ^= 1
    assert retrieval(shown(originals, indices), originals).value == share


def test_one_image_for_all_is_found_as_often_as_by_chance(originals):
    assert retrieval(shown(originals, [3] * COUNT), originals).value == 1 / COUNT


def test_sources_of_the_same_content_stand_for_each_other(originals):
    """Here sources 0 and 1, 2 and 3, …"""
    pairs = replace(originals.images, content=lambda domain, index: f"{domain}{index // 2}")
    originals = originals_of(pairs, np.arange(COUNT))
    assert retrieval(shown(originals, np.arange(COUNT) ^ 1), originals).value == 1
    assert retrieval(shown(originals, np.roll(np.arange(COUNT), 2)), originals).value == 0


def test_only_sources_that_are_translated_are_searched(originals):
    """Of sources 2, 3, 5 and 7, by their indices, in whatever order they come."""
    some = originals_of(originals.images, np.array([7, 3, 2, 5]))
    for order in ([0, 1, 2, 3], [2, 0, 3, 1]):
        how = {"order": np.array(order), "sizes": [3, 1]}
        assert retrieval(shown(some), some, **how).value == 1
        assert perceptual(shown(some), some, **how).value == 0


def test_distance_to_the_source_by_hand(originals):
    """The stub's features are the angles of the mean red on a circle, so a chord's square is 2 - 2 cos(a - b)."""
    outputs = random_images(COUNT * OUTPUTS, seed=5).view(COUNT, OUTPUTS, 3, 4, 4)
    found = perceptual(outputs, originals)
    angle, of_source = (
        images.double().mean((-1, -2))[..., 0] / 255 for images in (outputs, originals.sources(originals.translated))
    )
    each = 2 * (2 - 2 * (angle - of_source[:, None]).cos()).numpy()
    assert found.value == pytest.approx(each.mean(), rel=1e-5)
    expected = left_out(lambda kept: each[kept].mean(), COUNT)
    np.testing.assert_allclose(found.influence[FAKE], expected, rtol=1e-4, atol=1e-9)


def test_distance_to_the_source_agrees_with_the_lpips_package():
    package, network = conformance.lpips_package(), AlexNet(resize=None)
    originals = originals_of(in_memory(val=3, side=64), np.arange(3), side=64)
    outputs = torch.randint(0, 256, (3, 2, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    theirs = [
        conformance.pairwise_lpips(package, torch.stack([output, source]))
        for of_source, source in zip(outputs, originals.sources(np.arange(3)), strict=True)
        for output in of_source
    ]
    assert perceptual(outputs, originals, network).value == pytest.approx(np.mean(theirs), abs=1e-6)


@pytest.mark.parametrize("measure_of", [retrieval, perceptual])
@settings(max_examples=10)
@given(st.integers(0, 99), st.permutations(range(COUNT)), st.sampled_from([[8], [5, 3], [1] * 8]), st.booleans())
def test_whatever_the_batches(measure_of, seed, order, sizes, guided):
    originals = originals_of(in_memory(val=COUNT), np.arange(COUNT))
    outputs = random_images(COUNT * OUTPUTS, seed).view(COUNT, OUTPUTS, 3, 4, 4)
    references = np.random.default_rng(seed).integers(0, 5, (COUNT, OUTPUTS)) if guided else None
    whole = measure_of(outputs, originals, references=references)
    streamed = measure_of(outputs, originals, references=references, order=np.array(order), sizes=sizes)
    assert (REFERENCE in whole.influence) == guided
    low, high = whole.interval()
    assert 0 <= low <= whole.value <= high <= (1 if measure_of is retrieval else np.inf)
    assert streamed.value == pytest.approx(whole.value, rel=1e-9)
    for sample, each in whole.influence.items():
        np.testing.assert_allclose(streamed.influence[sample], each, rtol=1e-9, atol=1e-12)


@pytest.fixture(scope="module")
def edges():
    return EXTRACTORS["alexnet-edges"](None)


@pytest.mark.parametrize("side", [32, 64])
def test_sources_with_some_noise_are_found_by_their_edges(side, edges):
    originals = originals_of(sets.load(Data(val_per_domain=20), side), np.arange(20), "cat", "dog", side)
    images = originals.sources(originals.translated)
    noise = 5 * torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    outputs = (images + noise).round().clamp(0, 255).to(torch.uint8)[:, None]
    assert retrieval(outputs, originals, edges).value == 1
    colours = outputs.float().mean(2, keepdim=True).to(torch.uint8).expand_as(outputs)
    assert retrieval(colours, originals, edges).value > 0.9


@pytest.mark.parametrize("level", [0, 124, 255])
def test_plain_images_are_not_found_by_their_edges(level, edges):
    originals = originals_of(sets.load(Data(val_per_domain=20), 32), np.arange(20), "cat", "dog", 32)
    outputs = torch.full((20, 1, 3, 32, 32), level, dtype=torch.uint8)
    assert retrieval(outputs, originals, edges).value == 1 / 20
