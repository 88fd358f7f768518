from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

from sg2bench.evaluation.measures import frechet


def features(n, d, seed=0, scale=1.0, shift=0.0):
    return np.random.default_rng(seed).standard_normal((n, d)) * scale + shift


def by_definition(a, b):
    """The same by eigenvalues of the product of the covariances."""
    product = np.cov(a, rowvar=False) @ np.cov(b, rowvar=False)
    overlap = np.sqrt(np.linalg.eigvals(product).astype(complex)).real.sum()
    traces = np.trace(np.cov(a, rowvar=False)) + np.trace(np.cov(b, rowvar=False))
    return np.square(a.mean(0) - b.mean(0)).sum() + traces - 2 * overlap


def distance(a, b):
    return frechet.distance(frechet.statistics(a), frechet.statistics(b))


def test_one_dimension_in_closed_form():
    """For normals in one dimension: (m1 - m2)^2 + (s1 - s2)^2."""
    a, b = np.array([[0.0], [2.0]]), np.array([[5.0], [6.0], [7.0]])
    assert distance(a, b) == pytest.approx((1 - 6) ** 2 + (np.sqrt(2) - 1) ** 2)


def test_whitened_features_in_closed_form():
    """Exactly white features scaled by s and shifted by m: d (1 - s)^2 + d m^2."""
    x = features(500, 8)
    white = (x - x.mean(0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(x, rowvar=False)).T)
    assert distance(white, 3 * white + 2) == pytest.approx(8 * 4 + 8 * 4, rel=1e-10)


@pytest.mark.parametrize(("n", "m", "d"), [(300, 200, 16), (300, 10, 16), (10, 300, 16), (9, 8, 16), (40, 16, 16)])
def test_agrees_with_the_eigenvalue_definition_also_when_singular(n, m, d):
    a, b = features(n, d), features(m, d, seed=1, scale=1.5, shift=0.3)
    assert distance(a, b) == pytest.approx(by_definition(a, b), rel=1e-5)


def test_agrees_with_the_matrix_square_root():
    a, b = features(400, 20), features(300, 20, seed=1, scale=0.7, shift=0.1)
    root = scipy.linalg.sqrtm(np.cov(a, rowvar=False) @ np.cov(b, rowvar=False)).real
    traces = np.trace(np.cov(a, rowvar=False)) + np.trace(np.cov(b, rowvar=False))
    expected = np.square(a.mean(0) - b.mean(0)).sum() + traces - 2 * np.trace(root)
    assert distance(a, b) == pytest.approx(expected, rel=1e-8)


def test_agrees_with_torch_fidelity():
    fidelity = pytest.importorskip("torch_fidelity.metric_fid")
    a, b = features(400, 20), features(300, 20, seed=1, scale=0.7, shift=0.1)
    stats = [{"mu": x.mean(0), "sigma": np.cov(x, rowvar=False)} for x in (a, b)]
    theirs = fidelity.fid_statistics_to_metric(*stats, verbose=False)["frechet_inception_distance"]
    assert distance(a, b) == pytest.approx(float(theirs), rel=1e-6)


@settings(max_examples=40)
@given(st.integers(2, 40), st.integers(2, 40), st.integers(1, 24), st.integers(0, 99), st.floats(1e-6, 1e3))
def test_zero_for_itself_symmetric_and_never_negative(n, m, d, seed, scale):
    a, b = features(n, d, seed), features(m, d, seed + 1, scale)
    size = np.trace(np.atleast_2d(np.cov(a, rowvar=False))) + np.trace(np.atleast_2d(np.cov(b, rowvar=False)))
    assert distance(a, a) <= 1e-6 * size
    assert distance(a, b) >= 0
    assert distance(a, b) == pytest.approx(distance(b, a), rel=1e-5, abs=1e-6 * size)
    constant = np.ones((n, d))
    assert distance(constant, constant) == pytest.approx(0, abs=1e-9)


def test_bad_features_are_refused():
    with pytest.raises(ValueError, match="at least 2 images on each side, got 1"):
        frechet.statistics(features(1, 4))
    with pytest.raises(ValueError, match="hold NaN or infinity"):
        frechet.statistics(np.full((3, 4), np.nan))
    with pytest.raises(ValueError, match="5 dimensions, those of real images 4"):
        distance(features(9, 4), features(9, 5))
