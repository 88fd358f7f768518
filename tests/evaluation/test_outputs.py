from __future__ import annotations

import platform

import numpy as np
import pytest
import torch

from sg2bench.data import sets
from sg2bench.evaluation.guidance import Guidance, guide
from sg2bench.evaluation.outputs import is_finite, keep_freed_memory, style_codes, to_float, to_uint8, translate
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


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), float("-inf")])
def test_nan_and_infinity_are_found(odd):
    images = torch.randn(2, 3, 4, 4)
    assert is_finite(images)
    assert is_finite(images.to(torch.uint8))
    images[1, 2, 3, 0] = odd
    assert not is_finite(images)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="what glibc's allocator does")
def test_freed_memory_is_kept_for_the_next_batch():
    resource = pytest.importorskip("resource")

    def page_faults():
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        tensors = [torch.ones(2**20) for _ in range(12)]  # 4 MiB each
        del tensors
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    keep_freed_memory()
    page_faults()
    assert min(page_faults() for _ in range(3)) < 1000  # of the 12,288 pages


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
