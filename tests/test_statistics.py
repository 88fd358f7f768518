from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sg2bench.statistics import Difference, difference, holm, mean_interval, standardised


def series(values, seeds=None):
    return pd.Series(values, index=range(len(values)) if seeds is None else seeds, dtype=float)


def test_paired_where_seeds_match():
    stats = pytest.importorskip("scipy.stats")
    new, old = series([3.0, 5.5, 4.0]), series([2.0, 4.0, 3.9])
    found = difference(new, old)
    assert (found.paired, found.seeds, found.mean) == (True, 3, pytest.approx(2.6 / 3))
    assert found.p_at_most_zero() == pytest.approx(stats.ttest_rel(new, old, alternative="greater").pvalue)
    assert found.p_at_least(1.0) == pytest.approx(stats.ttest_rel(new - 1, old, alternative="less").pvalue)


def test_welch_where_they_do_not():
    stats = pytest.importorskip("scipy.stats")
    new, old = series([3.0, 5.5, 4.0, 4.4], [0, 7, 8, 9]), series([2.0, 4.0, 3.9])
    found = difference(new, old)
    assert (found.paired, found.seeds) == (False, 3)
    expected = stats.ttest_ind(new, old, equal_var=False, alternative="greater").pvalue
    assert found.p_at_most_zero() == pytest.approx(expected)


def test_a_single_seed_tells_nothing_and_equal_values_all():
    one = difference(series([9.0]), series([1.0]))
    assert (one.p_at_least(1), one.p_at_most_zero(), one.seeds_needed(1.0)) == (1, 1, None)
    same = difference(series([1.0, 2.0]), series([1.0, 2.0]))
    assert same.p_at_least(0.0) == 0  # the margin of a baseline of 0
    assert (same.p_at_least(0.1), same.p_at_most_zero(), same.seeds_needed(0.1)) == (0, 1, 2)


@pytest.mark.parametrize("shift", [0, 9])
def test_a_difference_that_all_seeds_share_is_as_sure_as_the_steps_that_values_move_in(shift):
    new, old = series([0.8] * 5), series([0.9] * 5, range(shift, shift + 5))
    sure, counted = difference(new, old), difference(new, old, resolution=0.1)
    assert (sure.error, sure.p_at_most_zero(), sure.p_at_least(0.05)) == (0, 1, 0)  # less
    assert difference(old, new).p_at_most_zero() == 0  # more, by float rounding apart from seed to seed
    assert counted.error == pytest.approx(0.1 * np.sqrt(2 / 12 / 5))
    assert counted.mean == pytest.approx(-0.1)
    same = difference(series([0.1 + 0.2] * 5), series([0.3] * 5, range(shift, shift + 5)), resolution=0.1)
    assert same.mean == 0
    assert same.p_at_least(1 - 0.05 ** (1 / 50)) == pytest.approx(0.05)  # no drop in 50 images: the rule of three
    continuous = difference(series([0.1 + 0.2] * 5), series([0.3] * 5, range(shift, shift + 5)))
    assert (continuous.mean, continuous.error, continuous.p_at_least(0.0)) == (0, 0, 0)


def test_rounding_to_steps_has_the_error_that_is_used():
    rng = np.random.default_rng(0)
    rounded = np.round(rng.uniform(0, 100, (4000, 2)))
    exact = rng.uniform(-0.5, 0.5, (4000, 2)) + rounded
    error = (rounded - exact).mean(1).std()
    both = difference(series([1.0, 1.0]), series([5.0, 5.0]), resolution=1.0)
    assert both.error == pytest.approx(np.sqrt(2) * error, rel=0.05)


@pytest.mark.parametrize(("images", "seeds"), [(10, 2), (10, 5), (20, 2), (40, 2), (30, 3)])
def test_a_drop_that_no_image_showed_passes_in_one_of_twenty_gates_at_most(images, seeds):
    """All images of the baseline are right. The true drop is as large as the margin, 0.05."""
    rng = np.random.default_rng(0)
    passed = [
        difference(series([0.0] * seeds), series([0.0] * seeds), 1 / images).p_at_least(0.05) <= 0.05
        for right in rng.binomial(images, 0.95, (2000, seeds))
        if (right == images).all()
    ]
    assert sum(passed) / 2000 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 2000)


def test_the_step_changes_nothing_where_seeds_differ():
    new, old = series([3.0, 5.5, 4.0]), series([2.0, 4.0, 3.9])
    assert difference(new, old) == difference(new, old, resolution=1.0)
    assert difference(new, series([2.0, 4.0])) == difference(new, series([2.0, 4.0]), resolution=1.0)


def test_seeds_needed_do_rule_the_margin_out_nine_times_in_ten():
    rng = np.random.default_rng(0)
    spread = difference(series([-1.0, 1.0, -1.0, 1.0]), series([0.0] * 4))
    needed = spread.seeds_needed(1.0)
    ruled_out = [
        difference(series(rng.standard_normal(needed) * spread.error * 2), series([0.0] * needed)).p_at_least(1.0)
        <= 0.05
        for _ in range(1000)
    ]
    assert np.mean(ruled_out) == pytest.approx(0.9, abs=0.04)
    assert spread.seeds_needed(0.01) is None


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("margin", [0.7, 1.0, 2.5])
def test_seeds_needed_are_the_fewest_whose_quantiles_fit_into_the_margin(paired, margin):
    stats = pytest.importorskip("scipy.stats")
    found = Difference(mean=0.2, error=0.5, spread=1.0, freedom=9, seeds=4, paired=paired)

    def fits(seeds):
        t = stats.t(seeds - 1 if paired else 2 * seeds - 2)
        return (t.ppf(0.95) + t.ppf(0.9)) * 0.5 * 2 / np.sqrt(seeds) <= margin - 0.2

    assert found.seeds_needed(margin) == next(seeds for seeds in range(2, 201) if fits(seeds))


def test_seeds_needed_do_not_depend_on_how_many_seeds_each_side_has_now():
    two, many = [-np.sqrt(0.5), np.sqrt(0.5)], [-np.sqrt(49 / 50), np.sqrt(49 / 50)] * 25  # both of variance 1
    for new, old in ((two, many), (many, two), (two, two), (many, many)):
        found = difference(series(new), series(old).rename(index=lambda seed: seed + 100))
        assert not found.paired
        assert found.spread == pytest.approx(np.sqrt(2))
        assert found.seeds_needed(1.0) == 18  # with 34 degrees of freedom, (1.691 + 1.307) · √(2 / 18) is 0.999


def test_holm_by_hand():
    assert holm(np.array([0.01, 0.04, 0.03])) == pytest.approx([0.03, 0.06, 0.06])


@settings(max_examples=50)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_never_lowers_and_keeps_the_order(p):
    p = np.array(p)
    adjusted = holm(p)
    assert ((adjusted >= p) & (adjusted <= 1)).all()
    assert (np.diff(adjusted[np.argsort(p, kind="stable")]) >= 0).all()


def test_the_interval_of_a_mean_is_student_s():
    stats = pytest.importorskip("scipy.stats")
    values = np.array([3.0, 5.5, 4.0, 4.4])
    mean, half_width = mean_interval(values)
    low, high = stats.t.interval(0.95, 3, values.mean(), stats.sem(values))
    assert (mean - half_width, mean + half_width) == (pytest.approx(low), pytest.approx(high))
    assert np.isnan(mean_interval(values[:1])[1])


def test_the_interval_and_the_two_sided_p_are_student_s():
    stats = pytest.importorskip("scipy.stats")
    new, old = series([3.0, 5.5, 4.0, 4.4]), series([2.0, 4.0, 3.9, 3.0])
    paired, unpaired = difference(new, old), difference(new, old[:3])
    for found, test in (
        (paired, stats.ttest_rel(new, old)),
        (unpaired, stats.ttest_ind(new, old[:3], equal_var=False)),
    ):
        assert found.interval() == pytest.approx(tuple(test.confidence_interval(0.95)))
        assert found.p_no_difference() == pytest.approx(test.pvalue)
    mirrored = difference(old, new)
    assert mirrored.interval() == pytest.approx(tuple(-end for end in reversed(paired.interval())))
    assert mirrored.p_no_difference() == pytest.approx(paired.p_no_difference())


def test_the_interval_of_three_numbers_by_hand():
    """Differences 1, 2, 3: mean 2, standard error 1 / √3, and 4.3027 of these for two degrees of freedom."""
    half_width = 4.302653 / 3**0.5
    found = difference(series([2.0, 4.0, 6.0]), series([1.0, 2.0, 3.0]))
    assert found.interval() == pytest.approx((2 - half_width, 2 + half_width))


def test_an_interval_of_a_single_seed_has_no_ends_and_of_equal_seeds_no_width():
    one = difference(series([9.0]), series([1.0]))
    assert np.isnan(one.interval()).all()
    assert one.p_no_difference() == 1
    same, moved = (difference(series([1.0, 2.0, 4.0]) + shift, series([1.0, 2.0, 4.0])) for shift in (0, 3))
    assert (same.interval(), same.p_no_difference()) == ((0, 0), 1)
    assert moved.interval() == pytest.approx((3, 3))
    assert moved.p_no_difference() == 0


@pytest.mark.parametrize("paired", [True, False])
def test_intervals_over_three_seeds_hold_the_difference_19_times_in_20(paired):
    rng, held = np.random.default_rng(0), []
    for _ in range(400):
        luck = rng.standard_normal(3) if paired else np.zeros(3)
        new, old = (series(shift + luck + 0.5 * rng.standard_normal(3)) for shift in (1.0, 0.0))
        old.index = old.index if paired else old.index + 9
        low, high = difference(new, old).interval()
        held.append(low <= 1 <= high)
    assert np.mean(held) == pytest.approx(0.95, abs=0.035)


def test_a_standardised_difference_is_in_units_of_the_pooled_spread():
    """Variances 1 and 4 of three seeds each: √2.5. Three and two seeds with 1 and 2: √(4 / 3)."""
    assert standardised(series([4.0, 5.0, 6.0]), series([0.0, 2.0, 4.0])) == pytest.approx(3 / 2.5**0.5)
    assert standardised(series([4.0, 5.0, 6.0]), series([1.0, 3.0])) == pytest.approx(3 / (4 / 3) ** 0.5)
    assert np.isnan(standardised(series([4.0]), series([1.0, 3.0])))
    same, other = series([0.1 + 0.2] * 3), series([0.3] * 3)
    assert standardised(same, other) == 0
    assert standardised(same, other + 1) == -np.inf
