from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sg2bench.evaluation.measures import kernel


def features(n, d, seed=0, shift=0.0):
    return np.random.default_rng(seed).standard_normal((n, d)) + shift


def test_two_points_in_closed_form():
    """All real at a, all fake at b: k(a, a) + k(b, b) - 2 k(a, b)."""
    a, b = np.array([1.0, 2.0]), np.array([3.0, -1.0])
    expected = (5 / 2 + 1) ** 3 + (10 / 2 + 1) ** 3 - 2 * (1 / 2 + 1) ** 3
    assert kernel.distance(np.tile(a, (4, 1)), np.tile(b, (3, 1))) == pytest.approx(expected)


def test_agrees_with_torch_fidelity_on_one_subset_of_all():
    fidelity = pytest.importorskip("torch_fidelity.metric_kid")
    import torch

    a, b = features(200, 16), features(200, 16, seed=1, shift=0.2)
    theirs = fidelity.kid_features_to_metric(
        *(torch.from_numpy(x) for x in (a, b)),
        **{"kid_subsets": 1, "kid_subset_size": 200, "verbose": False},
    )
    assert kernel.distance(a, b) == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-6)


def test_unbiased_for_equal_distributions():
    values = [kernel.distance(features(20, 4, seed), features(15, 4, 1000 + seed)) for seed in range(400)]
    assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(len(values))
    assert min(values) < 0 < max(values)


@settings(max_examples=30)
@given(st.integers(2, 20), st.integers(2, 20), st.integers(1, 8), st.integers(0, 99))
def test_symmetric_and_whatever_the_order(n, m, d, seed):
    a, b = features(n, d, seed), features(m, d, seed + 1)
    value = kernel.distance(a, b)
    assert value == pytest.approx(kernel.distance(b, a), rel=1e-9, abs=1e-9)
    assert value == pytest.approx(kernel.distance(a[::-1], b), rel=1e-9, abs=1e-9)


def test_rises_with_the_shift():
    values = [kernel.distance(features(300, 8), features(300, 8, 1, shift)) for shift in (0, 0.2, 0.5, 1)]
    assert np.all(np.diff(values) > 0)


def test_too_few_images_are_refused():
    with pytest.raises(ValueError, match="at least 2 images on each side, got 1"):
        kernel.distance(features(1, 3), features(5, 3))


def test_blocks_change_nothing(monkeypatch):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((23, 4)), rng.standard_normal((17, 4)) + 0.3
    whole = kernel.influences(x, y)
    monkeypatch.setattr(kernel, "_ROWS", 5)
    for ours, expected in zip(kernel.influences(x, y), whole, strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-12, atol=1e-14)


def unit(n, d, seed=0, shift=0.0):
    x = features(n, d, seed, shift)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def test_cmmd_of_two_points_in_closed_form():
    """All real at a, all fake at b: 1000 (1 + 1 - 2 k(a, b)), whatever their numbers."""
    a, b = np.array([[1.0, 0.0]]), np.array([[0.6, 0.8]])
    expected = 1000 * (2 - 2 * np.exp(-0.8 / 200))
    assert kernel.cmmd(np.tile(a, (4, 1)), np.tile(b, (3, 1))) == pytest.approx(expected, rel=1e-9)


def test_cmmd_is_a_loop_over_pairs():
    x, y = unit(7, 5), unit(4, 5, seed=1, shift=0.5)
    kernels = [
        np.mean([np.exp(-np.sum((p - q) ** 2) / 200) for p in one for q in other])
        for one, other in ((x, x), (y, y), (x, y))
    ]
    assert kernel.cmmd(x, y) == pytest.approx(1000 * (kernels[0] + kernels[1] - 2 * kernels[2]), rel=1e-9)


def test_cmmd_of_equal_sets_is_0_and_rises_with_the_shift():
    values = [kernel.cmmd(unit(50, 8), unit(50, 8, shift=shift)) for shift in (0, 0.2, 0.5, 1)]
    assert values[0] == pytest.approx(0, abs=1e-9)
    assert np.all(np.diff(values) > 0)


def test_influences_on_cmmd_are_derivatives():
    """Giving an image a little more weight changes the value by its influence."""
    x, y = unit(6, 4), unit(5, 4, seed=1, shift=0.3)
    _, each_x, each_y = kernel.cmmd_influences(x, y)
    copies = 400

    def changed(side, index):
        repeated = np.repeat(side, copies, axis=0)
        return np.concatenate([repeated, side[index : index + 1]])

    value = kernel.cmmd(x, y)
    for index in range(3):
        step = len(x) * copies + 1
        assert (kernel.cmmd(changed(x, index), y) - value) * step == pytest.approx(each_x[index] * len(x), rel=0.02)
        step = len(y) * copies + 1
        assert (kernel.cmmd(x, changed(y, index)) - value) * step == pytest.approx(each_y[index] * len(y), rel=0.02)
