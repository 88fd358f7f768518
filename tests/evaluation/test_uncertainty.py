from __future__ import annotations

import numpy as np
import pytest

from sg2bench.evaluation.evaluator import sampled
from sg2bench.evaluation.measures import frechet, kernel
from sg2bench.evaluation.measures.base import influence_of_outputs, mean_of_outputs
from sg2bench.evaluation.uncertainty import Estimate, average, extrapolate, mean
from tools.coverage import coverage, covered, estimate, known_distance, normals, of_normals


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
        return estimate(metric, normals(200, 8, [0, repeat]), normals(40, 8, [1, repeat], 2.0))

    held, _, _ = coverage("precision", far, repeats=60)
    assert held >= 0.9
    low, high = far("precision", 0).interval()
    assert low == 0
    assert 3 / 40 <= high <= 1


def test_references_that_pairs_share_count_once():
    """The error is that of the references alone, which all pairs of a target share."""
    one = influence_of_outputs(np.array([[1.0, 2], [3, 4]]), np.array([[0, 5], [5, 2]]))
    np.testing.assert_array_equal(one["reference"], [1, np.nan, 4, np.nan, np.nan, 5])
    other = {"reference": np.array([1.0, 7])}
    both = mean([Estimate(0.0, one | other) for other in ({}, other)])
    np.testing.assert_array_equal(both.influence["reference"], [1, 3.5, 2, np.nan, np.nan, 2.5])
    alone = Estimate(0.0, {"reference": np.array([1, np.nan, -1])})
    assert alone.interval() == Estimate(0.0, {"reference": np.array([1.0, -1])}).interval()


def test_means_over_pairs_that_share_references_have_intervals_that_hold():
    def of_repeat(repeat):
        rng = np.random.default_rng(repeat)
        drawn, pairs = rng.standard_normal(40), []
        for _ in range(3):
            references = np.array([rng.permutation(40)[:5] for _ in range(40)])
            each = drawn[references] + 0.1 * rng.standard_normal((40, 5))
            of = influence_of_outputs((each - each.mean()) / each.size, references)
            of["fake"] = of["fake"] * 0  # references alone vary
            pairs.append(sampled(Estimate(each.mean(), of), f"source-{len(pairs)}", "target"))
        low, high = mean(pairs).interval()
        return low <= 0 <= high

    assert np.mean([of_repeat(repeat) for repeat in range(400)]) > 0.92


def test_outputs_that_took_their_style_from_the_same_references_are_not_independent():
    """40 sources of 5 outputs; each output's features are mostly those of one of 20 references."""

    def shared(metric, repeat, told=True):
        rng = np.random.default_rng([2, repeat])
        drawn, references = rng.standard_normal((20, 8)), rng.integers(0, 20, (40, 5))
        fakes = (0.9 * drawn[references.ravel()] + 0.45 * rng.standard_normal((200, 8)) + 0.3).astype(np.float32)
        return estimate(metric, normals(400, 8, [0, repeat]), fakes, 5, references if told else None)

    for metric in ("fd_alexnet", "kd_alexnet"):
        held, width, _ = coverage(metric, shared, repeats=100)
        assert held >= 0.88
        assert width < 1.5
        assert coverage(metric, lambda metric, repeat: shared(metric, repeat, told=False), repeats=100)[0] < 0.8


def test_a_naive_bootstrap_of_a_frechet_distance_misses_its_own_estimate():
    """So sg2bench uses influences instead."""
    x, y = normals(300, 64, 0), normals(200, 64, 1)
    rng = np.random.default_rng(2)

    def resampled(features):
        return frechet.statistics(features[rng.integers(0, len(features), len(features))])

    drawn = [frechet.distance(resampled(x), resampled(y)) for _ in range(200)]
    value = estimate("fd_alexnet", x, y).value
    assert not covered(np.quantile(drawn, [0.025, 0.975]), value)
    assert min(drawn) > value


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
    assert extrapolate(full, lambda *_: 1.0, 8, 8).value == pytest.approx(1)


def test_sources_without_an_output_that_counts_do_not_narrow_an_interval():
    """Three of sixty sources have a right image: the interval is that of three."""
    rng, hits = np.random.default_rng(0), 0
    for _ in range(1000):
        each = np.full((60, 1), np.nan)
        each[:3, 0] = rng.normal(10, 1, 3)
        low, high = mean_of_outputs(each, np.arange(60)[:, None]).interval()
        hits += low <= 10 <= high
        assert mean_of_outputs(each).interval() == pytest.approx(mean_of_outputs(each[:3]).interval())
    assert hits / 1000 > 0.93
