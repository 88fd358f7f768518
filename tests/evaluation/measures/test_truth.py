from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sg2bench.evaluation.extractors import EXTRACTORS, AlexNet
from sg2bench.evaluation.measures.base import FAKE, REFERENCE
from tests.evaluation.measures.known import in_memory, left_out, measured, originals_of, random_picture
from tools import conformance

COUNT, OUTPUTS = 6, 3


def right_image(source, index, target, reference, side=4):
    return random_picture([index, reference], side)


def some_right_images(*asked):
    """None for the references 0 and 1."""
    return right_image(*asked) if asked[3] > 1 else None


def known_references(seed=0, of=5):
    return np.stack([np.random.default_rng([seed, i]).permutation(of)[:OUTPUTS] for i in range(COUNT)])


def right_outputs(originals, references):
    images, known = originals.truths(originals.translated, references)
    assert known.all()
    return images.unflatten(0, (COUNT, OUTPUTS))


@pytest.fixture
def pixels():
    return EXTRACTORS["pixels"](None)


@pytest.fixture
def originals():
    return originals_of(in_memory(val=COUNT, truth=right_image), np.arange(COUNT))


def test_right_images_are_at_no_distance(originals, pixels):
    references = known_references()
    outputs = right_outputs(originals, references)
    found = measured("truth", ["l1"], outputs, originals, references=references, network=pixels)["l1"]
    assert (found.value, found.interval()) == (0, (0, 0))


@pytest.mark.parametrize("levels", [1, 5, 100])
def test_l1_is_in_8_bit_levels(originals, pixels, levels):
    """Every pixel is so many levels off, up where there is room, else down."""
    references = known_references()
    right = right_outputs(originals, references).int()
    outputs = torch.where(right < 128, right + levels, right - levels).to(torch.uint8)
    found = measured("truth", ["l1"], outputs, originals, references=references, network=pixels)["l1"]
    assert found.value == pytest.approx(levels)


def test_only_outputs_that_have_a_right_image_count(pixels):
    originals = originals_of(in_memory(val=COUNT, truth=some_right_images), np.arange(COUNT))
    references = known_references()
    references[2] = [0, 1, 0]
    known = references > 1
    whole = originals_of(in_memory(val=COUNT, truth=right_image), np.arange(COUNT))
    outputs = torch.randint(0, 256, (COUNT, OUTPUTS, 3, 4, 4), dtype=torch.uint8)
    found = measured("truth", ["l1"], outputs, originals, references=references, network=pixels, sizes=[1] * COUNT)
    each = (outputs.float() - right_outputs(whole, references).float()).abs().mean((2, 3, 4)).double().numpy()
    each[~known] = np.nan
    assert found["l1"].value == pytest.approx(np.nanmean(each))
    assert found["l1"].images == known.sum() < COUNT * OUTPUTS
    expected = np.nansum(each - np.nanmean(each), 1) / known.sum()
    expected[~known.any(1)] = np.nan  # otherwise they would count as sources, and make the interval too narrow
    np.testing.assert_allclose(found["l1"].influence[FAKE], expected, atol=1e-6)
    changes = left_out(lambda kept: np.nanmean(each[kept]), COUNT)
    assert np.corrcoef(changes, np.nan_to_num(expected))[0, 1] > 0.98
    used = np.unique(references[known])
    by_reference = [np.nansum(np.where(references == one, each - np.nanmean(each), 0)) / known.sum() for one in used]
    np.testing.assert_allclose(found["l1"].influence[REFERENCE][used], by_reference, atol=1e-6)
    assert np.isnan(np.delete(found["l1"].influence[REFERENCE], used)).all()


@pytest.mark.parametrize("with_one", [0, 1])
def test_fewer_than_two_sources_with_a_right_image_are_refused(pixels, with_one):
    originals = originals_of(in_memory(val=COUNT, truth=some_right_images), np.arange(COUNT))
    references = np.zeros((COUNT, OUTPUTS), np.int64)
    references[: 1 if with_one else 0, 0] = 2
    outputs = torch.zeros((COUNT, OUTPUTS, 3, 4, 4), dtype=torch.uint8)
    with pytest.raises(ValueError, match=f"right images are needed for 2 or more sources, .* {with_one} have"):
        measured("truth", ["l1"], outputs, originals, references=references, network=pixels)


def test_perceptual_distance_agrees_with_the_lpips_package():
    package, network = conformance.lpips_package(), AlexNet(resize=None)
    images = in_memory(val=COUNT, side=64, truth=lambda *asked: right_image(*asked, side=64))
    originals = originals_of(images, np.array([4, 1]), side=64)
    references = np.array([[2, 0], [3, 1]])
    outputs = torch.randint(0, 256, (2, 2, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    found = measured("truth", ["perceptual"], outputs, originals, references=references, network=network)
    right, _ = originals.truths(originals.translated, references)
    pairs = zip(outputs.flatten(0, 1), right, strict=True)
    theirs = [conformance.pairwise_lpips(package, torch.stack(pair)) for pair in pairs]
    assert found["perceptual"].value == pytest.approx(np.mean(theirs), abs=1e-6)


@settings(max_examples=25)
@given(st.integers(0, 99), st.permutations(range(COUNT)), st.sampled_from([[6], [4, 2], [1] * 6]))
def test_whatever_the_batches(seed, order, sizes):
    originals = originals_of(in_memory(val=COUNT, truth=some_right_images), np.arange(COUNT))
    references = known_references(seed)  # 3 of 0 to 4, so each source has an output with a right image
    outputs = torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (COUNT, OUTPUTS, 3, 4, 4), dtype=np.uint8))
    network = EXTRACTORS["pixels"](None)
    at_once, streamed = (
        measured("truth", ["l1"], outputs, originals, references=references, network=network, **batches)["l1"]
        for batches in ({}, {"order": np.array(order), "sizes": sizes})
    )
    assert streamed.value == pytest.approx(at_once.value, rel=1e-9)
    assert 0 <= at_once.interval()[0] <= at_once.value <= at_once.interval()[1] <= 510
    for sample, each in at_once.influence.items():
        np.testing.assert_allclose(streamed.influence[sample], each, rtol=1e-9, atol=1e-12)
