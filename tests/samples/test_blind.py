from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
import torch

from sg2bench.data import sets
from sg2bench.models.networks import Networks
from sg2bench.samples import blind


@pytest.fixture
def images(tiny):
    return sets.load(tiny.data, 32)


def models(tiny, number=2):
    torch.manual_seed(0)
    return [Networks(tiny.model, 3) for _ in range(number)]


def test_pairs_are_spread_over_directions_and_none_is_there_twice(images):
    chosen = blind.choose(images, 60, 0)
    assert len(set(chosen)) == 60
    directions = Counter((source, target) for source, _, target, _ in chosen)
    assert set(directions) == set(itertools.permutations(images.domains, 2))
    assert set(directions.values()) == {10}
    assert blind.choose(images, 60, 0) == chosen != blind.choose(images, 60, 1)
    with pytest.raises(ValueError, match="--pairs 151: these images allow at most 150, the same number for each"):
        blind.choose(images, 151, 0)


def test_both_models_see_the_same_and_sides_are_drawn(tiny, images):
    nets = models(tiny)
    found = list(blind.pairs(nets, images, 32, 12, 0))
    assert {pair.left for pair in found} == {0, 1}
    swapped = list(blind.pairs(nets[::-1], images, 32, 12, 0))
    for pair, other in zip(found, swapped, strict=True):
        assert (pair.source, pair.reference, pair.left) == (other.source, other.reference, other.left)
        pixels, others = (list(map(np.asarray, each.images)) for each in (pair, other))
        domain, index = pair.source.split("/")
        assert (pixels[0] == np.asarray(images.image("val", domain, int(index)).resize((32, 32)))).all()
        assert (pixels[2] == others[3]).all()
        assert (pixels[3] == others[2]).all()
        assert (pixels[2] != pixels[3]).any()


def test_a_model_without_references_is_refused(tiny, images):
    label = tiny.model.model_copy(update={"condition": "label"})
    with pytest.raises(ValueError, match="need references, which one of the two models does not take"):
        list(blind.pairs([Networks(label, 3)] * 2, images, 32, 1, 0))
