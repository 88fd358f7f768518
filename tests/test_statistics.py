from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sg2bench.statistics import difference, holm, mean_interval, ranks


def series(values, seeds=None):
    return pd.Series(values, index=range(len(values)) if seeds is None else seeds, dtype=float)


def test_paired_where_seeds_match():
    stats = pytest.importorskip("scipy.stats")
    new, old = series([3.0, 5.5, 4.0]), series([2.0, 4.0, 3.9])
    found = difference(new, old)
    assert (found.paired, found.seeds, found.mean) == (True, 3, pytest.approx(2.6 / 3))
    assert found.p_at_most_none() == pytest.approx(stats.ttest_rel(new, old, alternative="greater").pvalue)
    assert found.p_at_least(1.0) == pytest.approx(stats.ttest_rel(new - 1, old, alternative="less").pvalue)


def test_welch_where_they_do_not():
    stats = pytest.importorskip("scipy.stats")
    new, old = series([3.0, 5.5, 4.0, 4.4], [0, 7, 8, 9]), series([2.0, 4.0, 3.9])
    found = difference(new, old)
    assert (found.paired, found.seeds) == (False, 3)
    expected = stats.ttest_ind(new, old, equal_var=False, alternative="greater").pvalue
    assert found.p_at_most_none() == pytest.approx(expected)


def test_a_single_seed_tells_nothing_and_equal_values_all():
    one = difference(series([9.0]), series([1.0]))
    assert (one.p_at_least(1), one.p_at_most_none(), one.seeds_needed(1.0)) == (1, 1, None)
    same = difference(series([1.0, 2.0]), series([1.0, 2.0]))
    assert same.p_at_least(0.0) == 0  # the margin of a baseline of 0
    assert (same.p_at_least(0.1), same.p_at_most_none(), same.seeds_needed(0.1)) == (0, 1, 2)


@pytest.mark.parametrize("shift", [0, 9])
def test_a_difference_that_all_seeds_share_is_as_sure_as_the_steps_that_values_move_in(shift):
    new, old = series([0.8] * 5), series([0.9] * 5, range(shift, shift + 5))
    sure, counted = difference(new, old), difference(new, old, step=0.1)
    assert (sure.error, sure.p_at_most_none(), sure.p_at_least(0.05)) == (0, 1, 0)  # less
    assert difference(old, new).p_at_most_none() == 0  # more, by float rounding apart from seed to seed
    assert counted.error == pytest.approx(0.1 * np.sqrt(2 / 12 / 5))
    assert counted.mean == pytest.approx(-0.1)
    same = difference(series([0.1 + 0.2] * 5), series([0.3] * 5, range(shift, shift + 5)), step=0.1)
    assert (same.mean, same.error, same.p_at_least(0.0)) == (0, 0, 0)


def test_rounding_to_steps_has_the_error_that_is_used():
    rng = np.random.default_rng(0)
    rounded = np.round(rng.uniform(0, 100, (4000, 2)))
    exact = rng.uniform(-0.5, 0.5, (4000, 2)) + rounded
    error = (rounded - exact).mean(1).std()
    both = difference(series([1.0, 1.0]), series([5.0, 5.0]), step=1.0)
    assert both.error == pytest.approx(np.sqrt(2) * error, rel=0.05)


def test_the_step_changes_nothing_where_seeds_differ():
    new, old = series([3.0, 5.5, 4.0]), series([2.0, 4.0, 3.9])
    assert difference(new, old) == difference(new, old, step=1.0)
    assert difference(new, series([2.0, 4.0])) == difference(new, series([2.0, 4.0]), step=1.0)


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


def test_holm_by_hand():
    assert holm(np.array([0.01, 0.04, 0.03])) == pytest.approx([0.03, 0.06, 0.06])


@settings(deadline=None, max_examples=50)
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


def test_ranks_tie_where_intervals_overlap():
    low, high = np.array([1.0, 2.0, 4.0, 3.5]), np.array([3.0, 3.6, 5.0, 4.5])
    best, worst = ranks(low, high)
    assert best.tolist() == [1, 1, 3, 2]  # the last lies above the first and overlaps the second
    assert worst.tolist() == [2, 3, 4, 4]


@given(st.lists(st.tuples(st.floats(-10, 10), st.floats(0, 5)), min_size=1, max_size=8))
def test_the_best_is_first_and_equals_are_equal(intervals):
    low, high = (np.array(side) for side in zip(*((a, a + width) for a, width in intervals), strict=True))
    best, worst = ranks(low, high)
    assert best[high.argmin()] == 1
    assert worst[low.argmax()] == len(low)
    assert (best <= worst).all()
