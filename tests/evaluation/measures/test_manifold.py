from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sg2bench.evaluation.measures.manifold import manifold


def features(n, d, seed=0, shift=0.0):
    return np.random.default_rng(seed).standard_normal((n, d)) + shift


def test_on_a_line_by_hand():
    """Real at 0 … 9, k = 1: balls of radius 1. Fakes at 2.4, 2.6, 30 and 32: their balls reach 0.2, 0.2, 2, 2."""
    real, fake = np.arange(10.0)[:, None], np.array([[2.4], [2.6], [30.0], [32.0]])
    found = manifold(real, fake, k=1, k_density=1)
    assert found.precision == 0.5
    assert found.recall == 0
    assert found.density == 4 / 4  # each of the two lies in the balls of 2 and 3
    assert found.coverage == 0.2
    near = manifold(real, np.array([[2.4], [3.4], [30.0], [32.0]]), k=1, k_density=1)
    assert near.recall == 0.3  # the balls of 2.4 and 3.4 reach from 1.4 to 4.4: 2, 3, 4


def test_agrees_with_torch_fidelity():
    fidelity = pytest.importorskip("torch_fidelity.metric_prc")
    import torch

    real, fake = features(1500, 8), features(700, 8, seed=1, shift=0.7)
    theirs = fidelity.prc_features_to_metric(
        torch.from_numpy(fake),
        torch.from_numpy(real),
        **{"prc_neighborhood": 3, "prc_batch_size": 10000, "save_cpu_ram": False, "verbose": False},
    )
    ours = manifold(real, fake)
    assert 0.1 < ours.recall < 0.9
    assert 0.1 < ours.precision < 0.9
    assert ours.precision == pytest.approx(theirs["precision"], abs=1e-6)
    assert ours.recall == pytest.approx(theirs["recall"], abs=1e-6)


def test_of_the_same_distribution_density_is_about_1_and_coverage_its_expectation():
    """Naeem et al. 2020, section 3.3: E[density] = 1, E[coverage] = 1 - C(m, k) / C(n + m - 1, k) for large n, m."""
    found = [manifold(features(400, 4, seed), features(400, 4, 500 + seed)) for seed in range(10)]
    expected = 1 - np.prod([(400 - i) / (799 - i) for i in range(5)])
    assert np.mean([f.density for f in found]) == pytest.approx(1, abs=0.05)
    assert np.mean([f.coverage for f in found]) == pytest.approx(expected, abs=0.01)


@settings(max_examples=25)
@given(st.integers(6, 30), st.integers(6, 30), st.integers(0, 99), st.floats(0, 3))
def test_shares_are_shares_and_precision_and_recall_change_places(n, m, seed, shift):
    real, fake = features(n, 3, seed), features(m, 3, seed + 1, shift)
    found, turned = manifold(real, fake), manifold(fake, real)
    assert all(0 <= share <= 1 for share in (found.precision, found.recall, found.coverage))
    assert found.density >= 0
    assert (found.precision, found.recall) == (turned.recall, turned.precision)
    perfect = manifold(real, real)
    assert (perfect.precision, perfect.recall, perfect.coverage) == (1, 1, 1)


def test_too_few_images_are_refused_with_the_number_needed():
    with pytest.raises(ValueError, match="need 6 images on each side, got 5"):
        manifold(features(5, 3), features(9, 3))
