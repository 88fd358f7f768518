from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score

from sg2bench.evaluation.measures import domains
from sg2bench.evaluation.measures.base import FAKE, REFERENCE, Fake, RealSet
from tests.evaluation.measures.known import left_out

NAMES = ("a", "b", "c")


def around(name, count, seed, spread=0.3):
    """Normal features around a corner of a triangle."""
    rng = np.random.default_rng([seed, *name.encode()])
    return (np.eye(3)[NAMES.index(name)] + spread * rng.standard_normal((count, 3))).astype(np.float32)


def everyone(spread=0.3, counts=(50, 50, 50)):
    sizes = dict(zip(NAMES, counts, strict=True))
    return RealSet(NAMES, lambda name: around(name, sizes[name], 0, spread), lambda name: around(name, 20, 1, spread))


def accuracy(real, fake, outputs=1, references=None):
    return domains.Measure.compare(["accuracy"], real, Fake(fake, outputs, references))["accuracy"]


def test_domains_far_apart_are_told_apart_for_sure():
    real = everyone(spread=0.01)
    assert accuracy(real["b"], around("b", 20, 2, 0.01)).value == 1
    assert accuracy(real["b"], around("a", 20, 2, 0.01)).value == 0


def test_it_is_a_weak_logistic_regression_on_standardised_features():
    """C and the scaling change which outputs count: known from the same steps by hand."""
    counts = dict(zip(NAMES, (60, 20, 20), strict=True))
    real = RealSet(NAMES, lambda name: 40 + 9 * around(name, counts[name], 0, 0.6), lambda name: around(name, 20, 1))
    features = np.concatenate([real[name].features for name in NAMES])
    labels = np.repeat(NAMES, list(counts.values()))
    mean, deviation = features.mean(0), features.std(0)
    known = LogisticRegression(C=0.01, class_weight="balanced", max_iter=1000).fit(
        (features - mean) / deviation, labels
    )
    fake = 40 + 9 * around("a", 50, 2, 0.6)
    expected = known.predict_proba((fake - mean) / deviation)
    np.testing.assert_allclose(domains.classifier(real).predict_proba(fake), expected, atol=1e-5)


def test_it_is_the_share_that_the_classifier_takes_for_the_target():
    real = everyone(spread=0.6)
    fake = np.concatenate([around("a", 12, 2, 0.6), around("b", 28, 3, 0.6)])
    expected = accuracy_score(["b"] * 40, domains.classifier(real).predict(fake))
    found = accuracy(real["b"], fake, outputs=4)
    assert 0.3 < expected < 0.9
    assert found.value == pytest.approx(expected)
    each = (domains.classifier(real).predict(fake) == "b").reshape(10, 4)
    np.testing.assert_allclose(found.influence[FAKE], left_out(lambda kept: each[kept].mean(), 10), atol=1e-12)


def test_features_that_say_nothing_give_chance():
    real = everyone(spread=100)
    found = [accuracy(real[name], around(name, 600, 5, 100)).value for name in NAMES]
    assert np.mean(found) == pytest.approx(1 / 3, abs=0.05)


def test_each_domain_has_equal_weight_whatever_its_number_of_images():
    """Without, the twelvefold domain would draw what lies in the middle of two."""
    real = everyone(spread=0.6, counts=(600, 50, 50))
    between = [accuracy(real[name], (around("a", 500, 2, 0.6) + around("b", 500, 3, 0.6)) / 2).value for name in "ab"]
    assert between[0] == pytest.approx(between[1], abs=0.3)


def test_the_classifier_is_fitted_once_for_all_pairs(monkeypatch):
    real, fitted = everyone(), []
    fit = domains.LogisticRegression.fit
    monkeypatch.setattr(domains.LogisticRegression, "fit", lambda *a, **k: fitted.append(1) or fit(*a, **k))
    values = [accuracy(real[name], real.held_out(other)).value for name in NAMES for other in NAMES]
    assert fitted == [1]
    assert values == [accuracy(everyone()[name], real.held_out(other)).value for name in NAMES for other in NAMES]


@settings(max_examples=25)
@given(st.integers(2, 12), st.integers(1, 4), st.integers(0, 99), st.permutations(range(12)), st.booleans())
def test_a_share_with_an_interval_whatever_the_order(sources, outputs, seed, order, guided):
    real = everyone(spread=0.6)
    fake = around("a", sources * outputs, seed, 0.6)
    references = np.random.default_rng(seed).integers(0, 4, (sources, outputs)) if guided else None
    found = accuracy(real["a"], fake, outputs, references)
    low, high = found.interval()
    assert 0 <= low <= found.value <= high <= 1
    assert high - low >= min(3 / sources, 1 - 1e-9) - 1e-9
    used = [each[~np.isnan(each)] for each in found.influence.values()]
    assert np.isfinite(np.concatenate(used)).all()
    assert (REFERENCE in found.influence) == (guided and len(np.unique(references)) > 1)
    order = [unit for unit in order if unit < sources]
    turned = fake.reshape(sources, outputs, 3)[order].reshape(-1, 3)
    assert accuracy(real["a"], turned, outputs).value == pytest.approx(found.value)
