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
