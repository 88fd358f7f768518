from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu

from sg2bench.evaluation.measures.base import FAKE, HELD_OUT, REFERENCE, Fake, RealSet
from sg2bench.evaluation.measures.copies import Measure, gap
from tests.evaluation.measures.known import left_out
from tools.coverage import normals

distances = st.lists(st.integers(0, 9), min_size=2, max_size=30).map(lambda some: np.array(some, float))


def points(n, seed, **how):
    """Normals in a plane far from the origin, where distances are angles."""
    return np.concatenate([normals(n, 3, seed, **how), np.full((n, 1), 30, np.float32)], 1)


def compared(fake, held_out=None, train=None, outputs=1, references=None):
    train = points(200, 0) if train is None else train
    held_out = points(60, 1) if held_out is None else held_out
    real = RealSet(("a",), lambda _: train, lambda _: held_out)["a"]
    return Measure.compare(["gap"], real, Fake(fake, outputs, references))["gap"]


@given(distances, distances)
def test_it_is_mann_and_whitney_s_statistic(fakes, held_out):
    """Integers: equal distances occur, and count half."""
    value, of_fake, of_held_out = gap(fakes, held_out)
    expected = mannwhitneyu(fakes, held_out, method="asymptotic").statistic / (len(fakes) * len(held_out)) - 0.5
    assert value == pytest.approx(expected, abs=1e-12)
    assert of_fake.mean() == pytest.approx(value, abs=1e-12)
    assert of_held_out.mean() == pytest.approx(value, abs=1e-12)
    assert -0.5 <= value <= 0.5
    opposite, *_ = gap(held_out, fakes)
    assert opposite == pytest.approx(-value, abs=1e-12)


def test_training_images_are_copies_and_held_out_ones_are_not():
    train, held_out = points(200, 0), points(60, 1)
    copied = compared(train[:40])
    assert (copied.value, copied.interval()) == (-0.5, (-0.5, -0.5 + 1.5 / 40))
    itself = compared(held_out)
    assert itself.value == pytest.approx(0, abs=1e-12)
    assert itself.interval()[1] == 0


@pytest.mark.parametrize("copies", [0, 10, 20, 40])
def test_a_share_of_copies_is_half_as_large_a_gap(copies):
    """The rest are held-out images themselves."""
    train, held_out = points(200, 0), points(40, 1)
    fake = np.concatenate([train[:copies], held_out[copies:]])
    later = np.concatenate([train[copies : 2 * copies], held_out[copies:]])
    expected = -0.5 * copies / 40
    assert compared(fake, held_out).value == pytest.approx(expected, abs=0.12)
    assert compared(later, held_out).value == pytest.approx(compared(fake, held_out).value)


def test_images_far_from_all_real_ones_are_no_copies():
    found = compared(points(40, 2, shift=9))
    assert found.value == 0
    assert found.interval()[1] == 0


@pytest.mark.parametrize("scale", [1e-3, 1.3, 1e3])
def test_lengths_of_features_do_not_matter(scale):
    """Brightness alone does not hide a copy, and short features are scaled, too."""
    assert compared(np.float32(scale) * points(200, 0)[:40]).value == -0.5


def test_outputs_that_share_a_reference_are_not_independent():
    fake = np.concatenate([points(200, 0)[:20], points(20, 2)])
    shared = compared(fake, outputs=2, references=np.repeat([[0], [1]], [10, 10], 0).repeat(2, 1))
    alone = compared(fake, outputs=2)
    assert REFERENCE in shared.influence
    assert REFERENCE not in alone.influence


def test_equal_images_everywhere_are_no_evidence():
    same = np.ones((5, 3), np.float32)
    assert compared(same, same, same).value == 0


def test_influences_are_what_leaving_a_source_or_a_held_out_image_out_changes():
    train, held_out, fake = points(200, 0), points(50, 1), points(60, 2, scale=0.7)
    found = compared(fake, held_out, train, outputs=2)
    assert found.value < -0.05

    def without(kept_sources, kept_held_out):
        return compared(fake.reshape(30, 2, 4)[kept_sources].reshape(-1, 4), held_out[kept_held_out], train).value

    of_sources = left_out(lambda kept: without(kept, np.arange(50)), 30)
    of_held_out = left_out(lambda kept: without(np.arange(30), kept), 50)
    np.testing.assert_allclose(found.influence[FAKE], of_sources, atol=1e-9)
    np.testing.assert_allclose(found.influence[HELD_OUT], of_held_out, atol=1e-9)


def test_intervals_hold_the_expectation_about_95_times_in_100():
    """Of fakes narrower than real images, and so nearer to the middle of those."""
    train = points(300, 0)
    found = [compared(points(60, [2, repeat], scale=0.7), points(60, [1, repeat]), train) for repeat in range(150)]
    expectation = np.mean([estimate.value for estimate in found])
    held = np.mean([low <= expectation <= high for low, high in (estimate.interval() for estimate in found)])
    assert -0.3 < expectation < -0.1
    assert 0.9 <= held <= 0.99


@settings(max_examples=25)
@given(st.integers(2, 12), st.integers(1, 4), st.integers(0, 99), st.floats(0.1, 2), st.permutations(range(12)))
def test_bounded_whatever_the_order(sources, outputs, seed, scale, order):
    fake = points(sources * outputs, seed, scale=scale)
    found = compared(fake, outputs=outputs)
    low, high = found.interval()
    assert -0.5 <= low <= found.value <= high <= 0
    order = [unit for unit in order if unit < sources]
    turned = fake.reshape(sources, outputs, 4)[order].reshape(-1, 4)
    assert compared(turned, outputs=outputs).value == pytest.approx(found.value)
    assert compared(fake, held_out=points(60, 1)[::-1], outputs=outputs).value == pytest.approx(found.value)
