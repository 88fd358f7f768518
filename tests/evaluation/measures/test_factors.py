from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression

from sg2bench.data import critters
from sg2bench.data.critters import FACTORS, as_vector
from sg2bench.evaluation.extractors import Extractor, Features
from sg2bench.evaluation.measures.base import FAKE, REAL, REFERENCE, Real
from sg2bench.evaluation.measures.factors import STYLE, content_errors, leak, spread, style_errors
from sg2bench.evaluation.uncertainty import Estimate
from tests.evaluation.measures.known import in_memory, left_out, measured, originals_of

COUNT, OUTPUTS = 10, 3
CONTENT = ("position", "size", "angle")
FOLLOWED = ("colour", "fur", "eyes", "background", "stripes")


@cache
def drawn(split, count, domain, seed):
    return np.stack([as_vector(critters.factors(domain, split, index, seed)) for index in range(count)])


def vectors(split, count, domain="cat", seed=0):
    return drawn(split, count, domain, seed).copy()


def changed(of, **by):
    """Factors that differ by so much from others."""
    found = of.copy()
    for name, amount in by.items():
        found[..., FACTORS.index(name)] += amount
    return found


class Table(Extractor):
    """Reads an image as the row of a table whose number is its first byte."""

    weights_sha256 = "0" * 64
    dim = len(FACTORS)

    def __init__(self, table):
        super().__init__(None)
        self.table = torch.from_numpy(np.asarray(table, np.float32))

    def forward(self, images):
        return Features(self.table[images[:, 0, 0, 0].long()])


@pytest.fixture
def originals():
    def made_of(split, domain, index):
        return critters.factors({"a": "cat", "b": "dog"}[domain], split, index, 0)

    return originals_of(in_memory(val=COUNT, factors=made_of), np.arange(COUNT), side=32)


def passed(originals, read, quantities, references=None, real=None, **batches):
    """Estimates for outputs of which factors (sources, outputs, 14) are read."""
    sources, outputs, _ = read.shape
    images = torch.zeros((sources * outputs, 3, 4, 4), dtype=torch.uint8)
    images[:, 0, 0, 0] = torch.arange(sources * outputs)
    network, images = Table(read.reshape(-1, len(FACTORS))), images.unflatten(0, (sources, outputs))
    real = None if real is None else Real(real.astype(np.float32))
    return measured(
        "factors", quantities, images, originals, references=references, real=real, network=network, **batches
    )


def test_columns_of_the_style():
    assert [len(columns) for columns in STYLE.values()] == [3, 3, 3, 1]
    assert sorted(column for columns in STYLE.values() for column in columns) == list(range(4, 14))


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ({}, {}),
        ({"x": 3 / 32, "y": -4 / 32}, {"position": 5}),
        ({"x": -1 / 32}, {"position": 1}),
        ({"angle": -20}, {"angle": 20}),
        ({"fur_red": 30, "stripes": 2}, {}),
    ],
)
def test_errors_of_content_by_hand(by, expected):
    of = vectors("val", 5)
    found = content_errors(changed(of, **by), of, 32)
    for name in CONTENT:
        np.testing.assert_allclose(found[name], expected.get(name, 0), atol=1e-9, err_msg=name)


@pytest.mark.parametrize("share", [0.5, 0.9, 1.2])
def test_error_of_size_is_per_cent_of_the_source_s(share):
    of = vectors("val", 5)
    read = changed(of, radius=of[:, 2] * (share - 1))
    np.testing.assert_allclose(content_errors(read, of, 32)["size"], 100 * abs(share - 1))


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ({}, {}),
        ({"fur_red": 30}, {"fur": 10, "colour": 10 / 3}),
        ({"eyes_green": -9, "eyes_blue": 9}, {"eyes": 6, "colour": 2}),
        ({"background_red": 3, "background_green": 3, "background_blue": 3}, {"background": 3, "colour": 1}),
        ({"stripes": -1.5}, {"stripes": 1.5}),
        ({"x": 0.1, "angle": 9}, {}),
    ],
)
def test_errors_of_style_by_hand(by, expected):
    of = vectors("val", 5)
    found = style_errors(changed(of, **by), of)
    assert found.keys() == set(FOLLOWED)
    for name in FOLLOWED:
        np.testing.assert_allclose(found[name], expected.get(name, 0), atol=1e-9, err_msg=name)


def test_spread_of_outputs_like_real_images_is_1_and_of_equal_ones_0():
    real = vectors("train", 1000)
    found, *_ = spread(vectors("val", 2000, seed=1).reshape(400, 5, -1), real)
    assert found == pytest.approx(1, abs=0.03)
    assert spread(vectors("val", 40).repeat(5, 0).reshape(40, 5, -1), real)[0] == 0


@pytest.mark.parametrize("share", [0.25, 0.5, 2])
def test_spread_is_a_ratio_of_standard_deviations(share):
    real, outputs = vectors("train", 200), vectors("val", 200, seed=1).reshape(40, 5, -1)
    middle = outputs.mean(1, keepdims=True)
    narrowed = middle + share * (outputs - middle)
    assert spread(narrowed, real)[0] == pytest.approx(share * spread(outputs, real)[0])


def test_spread_does_not_see_what_the_sources_differ_by():
    real, shift = vectors("train", 200), 50 * np.random.default_rng(0).standard_normal((40, 1, 14))
    outputs = vectors("val", 200, seed=1).reshape(40, 5, -1)
    assert spread(outputs + shift, real)[0] == pytest.approx(spread(outputs, real)[0])


@pytest.mark.parametrize("kept", [0, 0.5, 1, -0.5])
def test_leak_is_the_share_of_the_source_s_style_that_is_left(kept):
    sources, other = vectors("val", 2000), vectors("val", 2000, seed=1)
    assert leak(kept * sources + (1 - kept) * other, sources)[0] == pytest.approx(kept, abs=0.03)
    assert leak(kept * sources + 7, sources)[0] == pytest.approx(kept)


def test_leak_is_a_regression_s_slope_for_each_part():
    sources, read = vectors("val", 30), vectors("val", 30, seed=1)

    def slope(columns):
        """Of one slope for all channels of a colour, each about its mean."""
        centred = [side[:, columns] - side[:, columns].mean(0) for side in (sources, read)]
        of_source, of_output = (side.reshape(-1, 1) for side in centred)
        return LinearRegression(fit_intercept=False).fit(of_source, of_output[:, 0]).coef_[0]

    assert leak(read, sources)[0] == pytest.approx(np.mean([slope(columns) for columns in STYLE.values()]))


def test_parts_in_which_no_source_differs_say_nothing_about_leaks():
    """Two sources of as many stripes."""
    sources = changed(vectors("val", 2), fur_red=np.array([0.0, 9.0]))
    sources[:, FACTORS.index("stripes")] = 1
    assert leak(sources, sources)[0] == pytest.approx(1)
    sources[:] = sources[0]
    assert leak(sources, sources)[0] == 0


def test_influences_of_spread_are_what_leaving_a_unit_out_changes():
    real, read = vectors("train", 120), vectors("val", 240, seed=1).reshape(80, 3, -1)
    _, of_source, of_real = spread(read, real)
    for found, changes in (
        (of_source, left_out(lambda kept: spread(read[kept], real)[0], 80)),
        (of_real, left_out(lambda kept: spread(read, real[kept])[0], 120)),
    ):
        assert found.sum() == pytest.approx(0, abs=1e-9)
        assert np.corrcoef(found, changes)[0, 1] > 0.99
        assert found.std() == pytest.approx(changes.std(), rel=0.1)


def test_influences_of_leak_are_what_leaving_a_source_out_changes():
    sources = vectors("val", 100)
    read = 0.4 * sources + 0.6 * vectors("val", 100, seed=1)
    _, found = leak(read, sources)
    changes = left_out(lambda kept: leak(read[kept], sources[kept])[0], 100)
    assert found.sum() == pytest.approx(0, abs=1e-9)
    assert np.corrcoef(found, changes)[0, 1] > 0.99
    assert found.std() == pytest.approx(changes.std(), rel=0.1)


def test_outputs_as_they_must_be_have_no_error(originals):
    references = np.random.default_rng(0).integers(0, COUNT, (COUNT, OUTPUTS))
    read = originals.factors("b", references.ravel()).reshape(COUNT, OUTPUTS, -1)
    read[..., :4] = originals.factors("a", np.arange(COUNT))[:, None, :4]
    found = passed(originals, read, (*CONTENT, *FOLLOWED, "leak"), references)
    for name in (*CONTENT, *FOLLOWED):
        assert found[name].value == pytest.approx(0, abs=1e-4), name
        assert found[name].interval()[0] == 0
    assert abs(found["leak"].value) < 0.5


def test_untranslated_sources_keep_all_and_leak_all(originals):
    read = originals.factors("a", np.arange(COUNT)).repeat(OUTPUTS, 0).reshape(COUNT, OUTPUTS, -1)
    found = passed(originals, read, (*CONTENT, "leak", "spread"), real=vectors("train", 50, "dog"))
    assert found["leak"].value == pytest.approx(1, abs=1e-6)
    assert found["spread"].value == 0
    assert found["position"].value == pytest.approx(0, abs=1e-4)
    assert not set(FOLLOWED) & found.keys()


@pytest.mark.parametrize("quantity", [*CONTENT, *FOLLOWED])
def test_influences_of_errors_are_what_leaving_a_source_out_changes(originals, quantity):
    rng = np.random.default_rng(3)
    references = rng.integers(0, COUNT, (COUNT, OUTPUTS))
    read = vectors("val", COUNT * OUTPUTS, seed=4).reshape(COUNT, OUTPUTS, -1)
    found = passed(originals, read, [quantity], references)[quantity]
    sources = originals.factors("a", np.arange(COUNT)).repeat(OUTPUTS, 0)
    flat = read.reshape(-1, len(FACTORS))
    errors = content_errors(flat, sources, 32) | style_errors(flat, originals.factors("b", references.ravel()))
    each = errors[quantity].reshape(COUNT, OUTPUTS)
    expected = left_out(lambda kept: each[kept].mean(), COUNT)
    np.testing.assert_allclose(found.influence[FAKE], expected, rtol=1e-4, atol=1e-6)
    of_one = np.where(references == references.min(), each - each.mean(), 0).sum() / each.size
    assert found.influence[REFERENCE][0] == pytest.approx(of_one, rel=1e-3, abs=1e-6)


@settings(max_examples=25)
@given(st.integers(0, 99), st.permutations(range(COUNT)), st.sampled_from([[10], [7, 3], [1] * 10]), st.booleans())
def test_whatever_the_batches(seed, order, sizes, guided):
    def made_of(split, domain, index):
        return critters.factors({"a": "cat", "b": "dog"}[domain], split, index, seed)

    originals = originals_of(in_memory(val=2 * COUNT, factors=made_of), np.arange(1, 2 * COUNT, 2), side=32)
    references = np.random.default_rng(seed).integers(0, COUNT, (COUNT, OUTPUTS)) if guided else None
    read = vectors("val", COUNT * OUTPUTS, seed=seed + 1).reshape(COUNT, OUTPUTS, -1)
    quantities, real = (*CONTENT, *(FOLLOWED if guided else ()), "leak", "spread"), vectors("train", 20, "dog")
    whole = passed(originals, read, quantities, references, real)
    streamed = passed(originals, read, quantities, references, real, order=np.array(order), sizes=sizes)
    assert whole.keys() == streamed.keys() == set(quantities)
    assert whole["spread"].influence.keys() == {FAKE, REAL}
    for quantity, found in whole.items():
        low, high = found.interval()
        assert np.isfinite([low, found.value, high]).all()
        assert (0 if quantity != "leak" else -np.inf) <= low <= found.value <= high
        assert streamed[quantity].value == pytest.approx(found.value, rel=1e-6)
        for sample, each in found.influence.items():
            np.testing.assert_allclose(streamed[quantity].influence[sample], each, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(("name", "expectation"), [("spread", 0.5), ("leak", 0.4)])
def test_intervals_hold_what_is_known_of_normal_factors_about_95_times_in_100(name, expectation):
    """Outputs half as varied as real images, or blends of two fifths of the source's style with another one."""

    def interval(repeat):
        rng = np.random.default_rng([7, repeat])
        sources, outputs = rng.standard_normal((40, 14)), rng.standard_normal((40, 5, 14))
        if name == "spread":
            value, of_source, of_real = spread(0.5 * outputs, rng.standard_normal((200, 14)))
            return Estimate(value, {FAKE: of_source, REAL: of_real}).interval()
        value, influence = leak((0.4 * sources[:, None] + 0.6 * outputs).mean(1), sources)
        return Estimate(value, {FAKE: influence}).interval()

    held = [low <= expectation <= high for low, high in map(interval, range(200))]
    assert 0.91 <= np.mean(held) <= 0.99
