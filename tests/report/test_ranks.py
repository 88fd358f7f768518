"""Ranks that comparing over seeds decides: answers known by hand, and what holds for all."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sg2bench.report.ranks import ranks


def model(values, seeds=None, metric="kd_alexnet"):
    """Rows of one model, a seed each; `kd_alexnet` is compared by difference."""
    frame = pd.DataFrame({"value": values, "seed": range(len(values)) if seeds is None else seeds})
    return frame.assign(metric=metric, n_real=50, n_fake=40)


def test_pairs_decide_where_intervals_overlap():
    """b is behind a with every seed, by .9 to 1.1, though seeds are far apart; c is like b on the whole."""
    a, b, c = [0.0, 10, 20, 30, 40], [1.0, 10.9, 21.1, 31, 41], [41.0, 31, 1, 21, 11]
    assert ranks([model(a), model(b)]) == [(1, 1), (2, 2)]
    assert ranks([model(a), model(b, seeds=range(5, 10))]) == [(1, 2), (1, 2)]
    assert ranks([model(a), model(b), model(c)]) == [(1, 2), (2, 3), (1, 3)]


def test_by_hand_with_holm():
    """The p of a pair is 0.032: sure if it is the only one, and not as the second of three, where it counts twice."""
    stats = pytest.importorskip("scipy.stats")
    first = [0.7, -1.0, -1.6, -2.9, -0.4]
    second = [2.8, 0.5, 0.2, -0.9, 0.7]
    third = [3.6, -0.6, -0.3, 0.0, 0.5]
    p = [stats.ttest_rel(*pair).pvalue for pair in ((first, second), (first, third), (second, third))]
    assert p == pytest.approx([0.0007, 0.0316, 0.961], abs=1e-3)
    assert ranks([model(values) for values in (first, third)]) == [(1, 1), (2, 2)]
    assert ranks([model(values) for values in (first, second, third)]) == [(1, 2), (2, 3), (1, 3)]


def test_more_is_better_where_the_metric_says_so():
    assert ranks([model(values, metric="lpips") for values in ([0.1, 0.11], [0.4, 0.44])]) == [(2, 2), (1, 1)]


def test_a_single_seed_decides_nothing():
    many = [model([value, value + 0.1, value]) for value in (1.0, 9.0)]
    assert ranks([*many, model([-100.0])]) == [(1, 2), (2, 3), (1, 3)]
    assert ranks([model([1.0])]) == [(1, 1)]
    assert ranks([]) == []


def test_shares_that_all_seeds_have_are_as_sure_as_their_steps():
    """Of 40 images, 39 with each of two seeds and 38 with each of two others may be the same; 39 and 20 are not."""
    share = {"metric": "domain_accuracy"}
    assert ranks([model([39 / 40] * 2, **share), model([38 / 40] * 2, **share)]) == [(1, 2), (1, 2)]
    assert ranks([model([39 / 40] * 2, **share), model([20 / 40] * 2, **share)]) == [(1, 1), (2, 2)]


@settings(max_examples=30)
@given(st.lists(st.lists(st.floats(-10, 10), min_size=1, max_size=4), min_size=1, max_size=5))
def test_no_model_is_before_one_with_a_better_mean(values):
    found, means = ranks([model(each) for each in values]), [np.mean(each) for each in values]
    for (best, worst), mean in zip(found, means, strict=True):
        assert best - 1 <= sum(other < mean for other in means)
        assert len(means) - worst <= sum(other > mean for other in means)
