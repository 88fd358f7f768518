from __future__ import annotations

import numpy as np
import torch

from sg2bench.config import Data
from sg2bench.data import critters, sets
from sg2bench.data.critters import FACTORS
from tests.evaluation.measures.known import in_memory, originals_of, random_picture


def pixels(image):
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def test_sources_and_references_are_validation_images_of_the_two_domains():
    images = in_memory()
    originals = originals_of(images, np.array([5, 1]))
    assert originals.translated.tolist() == [1, 5]
    for index, one, other in zip(
        (5, 2), originals.sources(np.array([5, 2])), originals.references(np.array([5, 2])), strict=True
    ):
        assert (one == pixels(images.image("val", "a", index))).all()
        assert (other == pixels(images.image("val", "b", index))).all()


def test_right_images_in_the_order_of_the_outputs_where_there_are_any():
    def truth(source, index, target, reference):
        assert (source, target) == ("a", "b")
        return None if reference == 2 else random_picture([index, reference])

    originals = originals_of(in_memory(truth=truth), np.arange(4))
    images, known = originals.truths(np.array([3, 0]), np.array([[1, 2, 0], [2, 2, 4]]))
    assert known.tolist() == [True, False, True, False, False, True]
    expected = [pixels(random_picture(key)) for key in ([3, 1], [3, 0], [0, 4])]
    assert (images == torch.stack(expected)).all()
    images, known = originals.truths(np.array([1]), np.array([[2, 2]]))
    assert images.shape == (0, 3, 4, 4)
    assert not known.any()


def test_right_images_come_at_the_size_of_the_outputs():
    originals = originals_of(in_memory(truth=lambda *asked: random_picture([1], side=9)), np.arange(2))
    assert originals.truths(np.array([0]), np.array([[0]]))[0].shape == (1, 3, 4, 4)


def test_a_critter_s_factors_are_what_it_is_drawn_from():
    images = sets.load(Data(val_per_domain=4, seed=3), 32)
    found = originals_of(images, np.arange(4), "cat", "dog", 32).factors("dog", np.array([2, 0]))
    for row, index in zip(found, (2, 0), strict=True):
        made_of = critters.factors("dog", "val", index, 3)
        read = dict(zip(FACTORS, row, strict=True))
        assert (read["x"], read["angle"], read["stripes"]) == (made_of.x, made_of.angle, made_of.stripes)
        assert (read["fur_red"], read["eyes_green"]) == (made_of.fur[0], made_of.eyes[1])
        assert read["background_blue"] == made_of.background[2]
