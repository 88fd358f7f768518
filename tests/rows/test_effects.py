"""Effects of variants: the numbers, against closed forms."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sg2bench.keys import Claim
from sg2bench.rows import measure_effects
from sg2bench.rows.effects import COLUMNS, compare
from tests.tables import over_seeds, study

T_2 = 4.302653
"""Student's t of two degrees of freedom, 97.5 %."""
CLAIM = Claim(term="cyc", variant="b", purpose="content is kept", metric="lpips")


def one(values, **options):
    """The only effect of a table."""
    (row,) = measure_effects(over_seeds(values), **options).itertuples()
    return row


def test_a_share_is_compared_by_its_difference():
    """Differences -0.1, -0.2, -0.3: standard error 0.1 / √3; spreads 0 and 0.1, pooled √0.005."""
    row = one({"full": {"domain_accuracy": [0.9] * 3}, "b": {"domain_accuracy": [0.8, 0.7, 0.6]}})
    assert (row.variant, row.baseline, row.metric, row.mode) == ("b", "full", "domain_accuracy", "latent")
    assert (row.scale, row.question, row.seeds, row.paired) == ("difference", "reached", 3, True)
    assert (row.value, row.baseline_value, row.effect) == pytest.approx((0.7, 0.9, -0.2))
    half_width = T_2 * 0.1 / 3**0.5
    assert (row.ci_low, row.ci_high) == pytest.approx((-0.2 - half_width, -0.2 + half_width))
    assert row.standardised == pytest.approx(0.2 / 0.005**0.5)  # less is worse
    assert row.direction == "unclear"


def test_a_distance_is_compared_by_its_ratio():
    """Ratios 2, 2, 4: logarithms 1, 1, 2 times log 2, their mean 4/3 and standard error 1/3 of it."""
    row = one({"full": {"fd_alexnet": [10, 20, 10]}, "b": {"fd_alexnet": [20, 40, 40]}})
    assert (row.scale, row.direction) == ("ratio", "unclear")
    assert (row.effect, row.value, row.baseline_value) == pytest.approx(
        (2 ** (4 / 3), 32000 ** (1 / 3), 2000 ** (1 / 3))
    )
    assert (row.ci_low, row.ci_high) == pytest.approx((2 ** ((4 - T_2) / 3), 2 ** ((4 + T_2) / 3)))


@pytest.mark.parametrize(("metric", "worse"), [("fd_alexnet", 1), ("lpips", -1)])
@pytest.mark.parametrize("change", [1, -1])
def test_direction_and_sign_are_the_metric_s(metric, worse, change):
    row = one({"full": {metric: [1.0, 1.1, 1.2]}, "b": {metric: np.exp(change) * np.array([1.0, 1.11, 1.19])}})
    assert row.direction == ("worse" if worse == change else "better")
    assert np.sign(row.standardised) == worse * change


def test_seeds_that_one_side_lacks_are_compared_unpaired():
    row = one({"full": {"fd_alexnet": [10, 11, 12, 13]}, "b": {"fd_alexnet": [20, 21]}})
    assert (row.seeds, row.baseline_seeds, row.paired) == (2, 4, False)
    assert np.isfinite([row.ci_low, row.ci_high]).all()


def test_one_seed_has_an_effect_and_nothing_that_says_how_sure_it_is():
    row = one({"full": {"fd_alexnet": [10]}, "b": {"fd_alexnet": [15]}})
    assert (row.effect, row.p, row.p_holm, row.direction) == (pytest.approx(1.5), 1, 1, "unclear")
    assert np.isnan([row.ci_low, row.ci_high, row.standardised]).all()


@pytest.mark.parametrize(
    "values",
    [
        {"full": {"lpips": [1, 1], "fd_alexnet": [1, 2]}, "b": {"lpips": [1, 2]}},
        {"full": {"lpips": [1, 1]}, "b": {"lpips": [1, 2], "fd_alexnet": [1, 2]}},
    ],
)
def test_a_metric_that_one_side_lacks_stays_in_the_table(values):
    table = measure_effects(over_seeds(values)).set_index("metric")
    absent = table.loc["fd_alexnet"]
    assert absent[["effect", "ci_low", "ci_high", "p", "p_holm", "standardised"]].isna().all()
    assert "is not measured" in absent["sentence"]
    assert table.loc["lpips", "p_holm"] == table.loc["lpips", "p"]  # what was not tested needs no correction


def test_a_value_of_0_in_a_ratio_counts_as_a_thousandth_of_the_largest():
    gone = one({"full": {"lpips": [0.1, 0.2]}, "b": {"lpips": [0, 0]}})
    assert gone.effect == pytest.approx((0.0002**2 / 0.02) ** 0.5)
    assert gone.value == 0
    none = one({"full": {"lpips": [0, 0]}, "b": {"lpips": [0, 0]}})
    assert (none.effect, none.ci_low, none.ci_high, none.p, none.value) == (1, 1, 1, 1, 0)


def test_shares_on_which_all_seeds_agree_are_as_sure_as_one_image_allows():
    """40 images: the error is that of rounding to their steps."""
    row = one({"full": {"domain_accuracy": [1.0] * 5}, "b": {"domain_accuracy": [0.8] * 5}})
    assert row.ci_low < -0.2 < row.ci_high < -0.15
    assert row.standardised == np.inf


def test_p_values_are_corrected_for_the_whole_table():
    rng = np.random.default_rng(0)
    values = {name: {"lpips": rng.random(4), "fd_alexnet": rng.random(4)} for name in ("full", "b", "c")}
    table = measure_effects(over_seeds(values))
    assert len(table) == 4
    p = np.sort(table["p"])
    assert table["p_holm"].min() == pytest.approx(min(1, 4 * p[0]))
    assert table["p_holm"].max() == pytest.approx(min(1, np.maximum.accumulate(p * [4, 3, 2, 1])[-1]))


def test_what_no_claim_rests_on_is_exploratory():
    values = {name: {"lpips": [1, 2], "fd_alexnet": [1, 2]} for name in ("full", "b", "c")}
    swing = CLAIM.model_copy(update={"metric": "fd_alexnet", "over": "swing"})
    table = measure_effects(over_seeds(values), claims=[CLAIM, swing])
    primary = table[table["primary"].astype(bool)]
    assert list(primary[["variant", "metric"]].itertuples(index=False, name=None)) == [("b", "lpips")]
    assert [text.split(" the ")[0] for text in table["sentence"]] == ["Without cyc"] * 2 + ["In c"] * 2


def test_the_last_step_of_all_sources_counts():
    values = {"full": {"lpips": [1, 2]}, "b": {"lpips": [2, 4]}}
    wrong = {"full": {"lpips": [9, 9]}, "b": {"lpips": [1, 1]}}
    table = pd.concat(
        [over_seeds(wrong, step=2), over_seeds(values), over_seeds(wrong, step=9, protocol="offline, even sources")]
    )
    assert measure_effects(table)["effect"].tolist() == [pytest.approx(2)]


def test_a_single_variant_has_no_effects_and_a_study_all():
    assert list(measure_effects(study(("full",), range(2))).columns) == list(COLUMNS)
    assert measure_effects(study(("full",), range(2))).empty
    table = measure_effects(study())
    assert len(table) == 2 * 25
    assert table["standardised"].min() > 0  # where all others are worse
    assert not table["primary"].any()


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.floats(0.1, 10), st.floats(0.1, 10)), min_size=2, max_size=6),
    st.booleans(),
    st.sampled_from([1, -1]),
)
def test_the_other_way_round_an_effect_is_the_reverse(pairs, by_ratio, sign):
    new, old = (pd.Series(side) for side in zip(*pairs, strict=True))
    there, back = compare(new, old, by_ratio, sign), compare(old, new, by_ratio, sign)
    reverse = (lambda value: 1 / value) if by_ratio else (lambda value: -value)
    assert back.effect == pytest.approx(reverse(there.effect))
    assert (back.ci_low, back.ci_high) == pytest.approx((reverse(there.ci_high), reverse(there.ci_low)))
    assert back.p == pytest.approx(there.p)
    assert {there.direction, back.direction} in ({"unclear"}, {"worse", "better"})


def test_intervals_hold_a_known_effect_19_times_in_20():
    rng, held = np.random.default_rng(1), []
    for _ in range(200):
        luck = rng.standard_normal((1, 4))
        old, new = np.exp(luck + 0.3 * rng.standard_normal((2, 4))) * [[1], [1.5]]
        effect = compare(pd.Series(new), pd.Series(old), True, 1)
        held.append(effect.ci_low <= 1.5 <= effect.ci_high)
    assert np.mean(held) == pytest.approx(0.95, abs=0.045)
