from __future__ import annotations

import numpy as np
import pytest

from sg2bench.evaluation import frechet, kernel
from sg2bench.evaluation.metrics import Real, measure
from sg2bench.evaluation.uncertainty import Estimate, average, extrapolate, mean


def normals(n, d, seed, shift=0.0, scale=1.0):
    return (np.random.default_rng(seed).standard_normal((n, d)) * scale + shift).astype(np.float32)


def of_sources(sources, outputs, d, seed, shift=0.0, scale=1.0):
    """Normals of which those of a source are alike: correlation 1/2."""
    rng = np.random.default_rng(seed)
    shared = np.repeat(rng.standard_normal((sources, d)), outputs, 0)
    return ((shared + rng.standard_normal((sources * outputs, d))) / np.sqrt(2) * scale + shift).astype(np.float32)


def real(features):
    return Real(features, frechet.statistics(features))


def covered(interval, truth):
    return interval[0] <= truth <= interval[1]


def test_of_a_plain_mean_it_is_student_s_interval():
    scipy_stats = pytest.importorskip("scipy.stats")
    x = np.random.default_rng(0).standard_normal(12)
    expected = scipy_stats.t.interval(0.95, 11, x.mean(), x.std(ddof=1) / np.sqrt(12))
    assert average(x, np.full(12, 1 / 12), "x").interval() == pytest.approx(expected)


def test_mean_of_values_on_the_same_images_is_no_surer_than_one_of_them():
    x = np.random.default_rng(0).standard_normal(12)
    one, same, other = (average(x, np.full(12, 1 / 12), sample) for sample in ("x", "x", "y"))
    width = np.ptp(one.interval())
    assert np.ptp(mean([one, same]).interval()) == pytest.approx(width)
    assert np.ptp(mean([one, other]).interval()) == pytest.approx(width / np.sqrt(2))


@pytest.mark.parametrize("distance", [frechet, kernel])
def test_influence_is_what_leaving_an_image_out_changes(distance):
    x, y = normals(300, 6, 0), normals(200, 6, 1, 0.5, 1.5)
    if distance is frechet:
        _, each_x, each_y = frechet.influences(x, frechet.statistics(x), y, frechet.statistics(y))

        def value(a, b):
            return frechet.distance(frechet.statistics(a), frechet.statistics(b))
    else:
        _, each_x, each_y = kernel.influences(x, y)
        value = kernel.distance
    whole = value(x, y)
    changes_x = [whole - value(np.delete(x, i, 0), y) for i in range(40)]
    changes_y = [whole - value(x, np.delete(y, i, 0)) for i in range(40)]
    for each, changes in ((each_x, changes_x), (each_y, changes_y)):
        assert np.corrcoef(each[:40], changes)[0, 1] > 0.99
        assert np.std(changes) == pytest.approx(np.std(each[:40]), rel=0.1)


def coverage(metric, make, expectation=None, repeats=150):
    """How often the interval of a metric holds its expectation (one given, or the mean over the repeats); how wide it
    is beside the 3.92 standard deviations that would do; how far the mean is off in standard deviations.
    """
    estimates = [make(metric, repeat) for repeat in range(repeats)]
    values = [e.value for e in estimates]
    truth = np.mean(values) if expectation is None else expectation
    held = np.mean([covered(e.interval(), truth) for e in estimates])
    width = np.mean([np.ptp(e.interval()) for e in estimates]) / (3.92 * np.std(values))
    return held, width, (np.mean(values) - truth) / np.std(values)


def of_normals(metric, repeat, d=16):
    """400 real images, 40 sources of 5 outputs, shifted by 0.25 and scaled by 1.3."""
    fakes = of_sources(40, 5, d, [1, repeat], 0.25, 1.3)
    return measure([metric], real(normals(400, d, [0, repeat])), fakes, 5)[metric]


def known_distance(d):
    """Of the normals of `of_normals`."""
    return d * 0.25**2 + d * 0.3**2


@pytest.mark.parametrize("metric", ["fd_alexnet", "kd_alexnet", "precision", "recall", "density", "coverage"])
def test_intervals_hold_the_expectation_about_95_times_in_100(metric):
    held, width, _ = coverage(metric, of_normals, repeats=150 if metric[1] == "d" else 60)
    assert held >= 0.9
    assert width < (1.5 if metric[1] == "d" else 2.5)


@pytest.mark.parametrize(("d", "widest"), [(16, 2), (128, 6)])
def test_extrapolated_distance_s_interval_holds_the_known_distance_of_the_normals(d, widest):
    known = known_distance(d)
    held, width, bias = coverage("fd_alexnet_inf", lambda metric, repeat: of_normals(metric, repeat, d), known, 100)
    assert held >= 0.9
    assert width < widest
    assert abs(bias) < 1.5
    if d == 128:
        assert not covered(of_normals("fd_alexnet", 0, d).interval(), known)  # of 200 fakes it is far more


def test_a_share_of_0_is_not_sure():
    """Fakes far from all but the edge of the real images: the expectation is little, the value mostly 0."""

    def far(metric, repeat):
        return measure([metric], real(normals(200, 8, [0, repeat])), normals(40, 8, [1, repeat], 2.0))[metric]

    held, _, _ = coverage("precision", far, repeats=60)
    assert held >= 0.9
    low, high = far("precision", 0).interval()
    assert low == 0
    assert 3 / 40 <= high <= 1


def test_outputs_that_took_their_style_from_the_same_references_are_not_independent():
    """40 sources of 5 outputs; each output's features are mostly those of one of 20 references."""

    def shared(metric, repeat, told=True):
        rng = np.random.default_rng([2, repeat])
        drawn, references = rng.standard_normal((20, 8)), rng.integers(0, 20, (40, 5))
        fakes = (0.9 * drawn[references.ravel()] + 0.45 * rng.standard_normal((200, 8)) + 0.3).astype(np.float32)
        against = real(normals(400, 8, [0, repeat]))
        return measure([metric], against, fakes, 5, references if told else None)[metric]

    for metric in ("fd_alexnet", "kd_alexnet"):
        held, width, _ = coverage(metric, shared, repeats=100)
        assert held >= 0.88
        assert width < 1.5
        assert coverage(metric, lambda metric, repeat: shared(metric, repeat, told=False), repeats=100)[0] < 0.8


def test_a_naive_bootstrap_of_a_frechet_distance_does_not_hold_its_own_estimate():
    """Which is why there is none here."""
    x, y = normals(300, 64, 0), normals(200, 64, 1)
    rng = np.random.default_rng(2)

    def resampled(features):
        return frechet.statistics(features[rng.integers(0, len(features), len(features))])

    drawn = [frechet.distance(resampled(x), resampled(y)) for _ in range(200)]
    estimate = measure(["fd_alexnet"], real(x), y)["fd_alexnet"]
    assert not covered(np.quantile(drawn, [0.025, 0.975]), estimate.value)
    assert min(drawn) > estimate.value


def test_extrapolation_is_exact_for_a_bias_of_two_terms():
    def value(real, fake):
        n = len(real)
        return 3 + 5 / n + 7 / n**2

    full = Estimate(3 + 5 / 64 + 7 / 64**2, {"real": np.zeros(64), "fake": np.zeros(64)})
    found = extrapolate(full, value, 64, 64)
    assert found.value == pytest.approx(3)
    assert covered(found.interval(), 3)


def test_too_few_images_to_extrapolate_are_refused():
    full = Estimate(1.0, {})
    with pytest.raises(ValueError, match="needs 8 real images and 8 sources, got 7"):
        extrapolate(full, lambda *_: 1.0, 20, 7)
