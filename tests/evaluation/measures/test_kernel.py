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
