from __future__ import annotations

import numpy as np
import pytest
import torch

from sg2bench.config import Evaluate
from sg2bench.data import images
from sg2bench.evaluation.translate import source_count, style_codes, to_float, to_uint8, translate
from sg2bench.models.networks import Networks
from tests import golden


@pytest.fixture
def image_set(tiny):
    return images.load(tiny.data, 32)


@pytest.fixture
def nets(tiny):
    torch.manual_seed(0)
    return Networks(tiny.model, 3).eval()


@golden.needs_golden
def test_golden_8_bit_conversion():
    stored = np.load(golden.FOLDER / "losses/losses.npz")
    np.testing.assert_array_equal(to_uint8(torch.from_numpy(stored["to8bit_in"])), stored["to8bit_out"])


def test_8_bit_round_trip():
    levels = torch.arange(256, dtype=torch.uint8)
    assert (to_uint8(to_float(levels)) == levels).all()


@pytest.mark.parametrize("mode", ["latent", "reference"])
def test_styles_depend_on_the_pair_and_on_nothing_else(nets, image_set, tiny, mode):
    def styles(source, target, seed=0):
        evaluate = tiny.evaluate.model_copy(update={"seed": seed})
        return style_codes(nets, image_set, evaluate, mode, source, target, 32)

    a = styles("cat", "dog")
    assert a.shape == (3, 2, 5)
    styles("bunny", "dog")
    assert (styles("cat", "dog") == a).all()
    assert (styles("bunny", "dog") != a).any()
    assert (styles("cat", "dog", seed=1) != a).any()


def test_a_source_has_no_reference_twice_while_there_are_enough(nets, image_set):
    for outputs, distinct in ((5, 5), (7, 5)):
        evaluate = Evaluate(outputs_per_source=outputs, sources=3)
        styles = style_codes(nets, image_set, evaluate, "reference", "cat", "dog", 32)
        assert all(len(np.unique(source.numpy(), axis=0)) == distinct for source in styles)


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_translate_is_the_generator_source_by_source_whatever_the_batch(nets, image_set, tiny, batch_size):
    styles = style_codes(nets, image_set, tiny.evaluate, "latent", "cat", "dog", 32)
    outputs = torch.cat(list(translate(nets, image_set, "cat", styles, batch_size, 32)))
    assert outputs.shape == (6, 3, 32, 32)
    assert outputs.dtype == torch.uint8
    source = to_float(image_set.batch("val", "cat", range(2, 3), 32))
    with torch.inference_mode():
        expected = to_uint8(nets.generator(source, styles[2, 1][None]))
    assert (outputs[5].int() - expected[0].int()).abs().max() <= 1


def test_source_count(image_set):
    assert source_count(image_set, Evaluate(), "cat") == 5
    assert source_count(image_set, Evaluate(sources=3), "cat") == 3
    assert source_count(image_set, Evaluate(sources=99), "cat") == 5
