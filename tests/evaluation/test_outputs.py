from __future__ import annotations

import numpy as np
import pytest
import torch

from sg2bench.data import sets
from sg2bench.evaluation.guidance import Guidance, guide
from sg2bench.evaluation.outputs import style_codes, to_float, to_uint8, translate
from sg2bench.models.networks import Networks
from tests import golden


@pytest.fixture
def image_set(tiny):
    return sets.load(tiny.data, 32)


@pytest.fixture
def nets(tiny):
    torch.manual_seed(0)
    return Networks(tiny.model, 3).eval()


@golden.needs_golden
@pytest.mark.parametrize("case", golden.cases("losses"))
def test_golden_8_bit_conversion(case):
    stored = golden.load(case)
    np.testing.assert_array_equal(to_uint8(torch.from_numpy(stored["to8bit_in"])), stored["to8bit_out"])


def test_8_bit_round_trip():
    levels = torch.arange(256, dtype=torch.uint8)
    assert (to_uint8(to_float(levels)) == levels).all()


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_translate_is_the_generator_source_by_source_whatever_the_batch(nets, image_set, tiny, batch_size):
    guidance = guide(image_set, tiny.evaluate, "latent", 3)["cat", "dog"]
    styles = style_codes(nets, image_set, guidance, "dog", 32, 32)
    outputs = torch.cat(list(translate(nets, image_set, "cat", guidance, styles, batch_size, 32)))
    assert outputs.shape == (6, 3, 32, 32)
    source = to_float(image_set.batch("val", "cat", range(2, 3), 32))
    with torch.inference_mode():
        expected = nets.generator(source, styles[2, 1][None])
    torch.testing.assert_close(outputs[5], expected[0], rtol=1e-3, atol=1e-4)


def test_references_are_encoded_once_and_met_as_guided(nets, image_set):
    guidance = Guidance(np.array([4, 0]), references=np.array([[1, 3], [1, 1]]))
    styles = style_codes(nets, image_set, guidance, "dog", 2, 32)
    with torch.inference_mode():
        reference = to_float(image_set.batch("val", "dog", [1], 32))
        expected = nets.style_encoder(reference, torch.tensor([2]))[0]
    torch.testing.assert_close(styles[0, 0], expected)
    assert (styles[0, 0] == styles[1, 1]).all()
    assert (styles[0, 0] != styles[0, 1]).any()
    first = next(translate(nets, image_set, "cat", guidance, styles, 2, 32))
    with torch.inference_mode():
        source = to_float(image_set.batch("val", "cat", [4], 32))
        torch.testing.assert_close(first[0], nets.generator(source, expected[None])[0], rtol=1e-3, atol=1e-4)
