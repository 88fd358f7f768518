"""The claim table: verdicts by cases, swings against closed forms."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sg2bench.config import Experiment
from sg2bench.keys import Claim
from sg2bench.rows import judge_claims
from sg2bench.rows.claims import COLUMNS, swings, verdict
from sg2bench.rows.effects import Effect
from tests.tables import over_seeds

HOLDS, FAILS, OPEN = "holds here", "does not hold here", "not decided"


def claim(metric="fd_alexnet", **keys):
    return {"term": "cyc", "purpose": "content is kept", "variant": "b", "metric": metric} | keys


def experiment(*claims, seeds=(0, 1, 2), variants=("full", "b", "c")):
    return Experiment(name="study", variants={name: {} for name in variants}, claims=claims, seeds=seeds)


def ratio(effect, low, high):
    direction = "worse" if low > 1 else "better" if high < 1 else "unclear"
    return Effect("ratio", 1, 1, effect, low, high, 0.01, 1.0, direction, 5, 5, True)


@pytest.mark.parametrize(
    ("effect", "p_holm", "expected"),
    [
        (ratio(1.3, 1.1, 1.5), 0.04, HOLDS),
        (ratio(1.3, 1.1, 1.5), 0.06, OPEN),  # sure alone, not among all claims
        (ratio(1.03, 1.01, 1.05), 0.01, HOLDS),  # a small worsening is one
        (ratio(1.03, 1.01, 1.05), 0.06, FAILS),  # at most half of the margin
        (ratio(0.8, 0.7, 0.9), 0.001, FAILS),  # better without the term
        (ratio(1.0, 0.95, 1.05), 1.0, FAILS),  # the margin is excluded
        (ratio(1.0, 0.8, 1.2), 1.0, OPEN),
        (ratio(0.97, 0.8, 1.1), 1.0, OPEN),  # an end at the margin does not exclude it
        (Effect("ratio"), float("nan"), OPEN),
        (Effect("ratio", 2, 1, 2.0, p=1.0, seeds=1, baseline_seeds=1), 1.0, OPEN),
    ],
)
def test_a_verdict_by_cases(effect, p_holm, expected):
    """The margin is 10 %; where less is worse, all is mirrored."""
    assert verdict(effect, 1, p_holm, 1.1) == expected
    mirrored = Effect(
        "difference",
        *(effect.value, effect.baseline_value, 1 - effect.effect, 1 - effect.ci_high, 1 - effect.ci_low),
        direction=effect.direction,
    )
    assert verdict(mirrored, -1, p_holm, -0.1) == expected


def test_the_table_has_what_the_claim_says_and_what_was_found():
    values = {"full": {"fd_alexnet": [10, 11, 12]}, "b": {"fd_alexnet": [20, 22, 24.1]}}
    table = judge_claims(over_seeds(values), experiment(claim()))
    assert tuple(table.columns) == COLUMNS
    (row,) = table.itertuples()
    assert (row.term, row.purpose, row.verdict, row.variant, row.baseline) == (
        "cyc",
        "content is kept",
        HOLDS,
        "b",
        "full",
    )
    assert (row.worst, row.p_holm, row.missing, row.baseline_missing) == (pytest.approx(1.1), row.p, 0, 0)
    assert row.sentence.startswith("Without cyc the Fréchet distance rises by 100 % [")


@pytest.mark.parametrize(
    ("metric", "keys", "worst"),
    [
        ("fd_alexnet", {}, 1.1),
        ("lpips", {}, 0.95),
        ("lpips", {"margin": 0.2}, 0.8),
        ("lpips", {"margin": 0.2, "over": "swing"}, 1.2),  # more of a swing is worse
        ("domain_accuracy", {}, -0.05),
        ("precision", {}, -0.05),  # a tenth of the baseline's 0.5
        ("kd_alexnet", {}, 0.05),
    ],
)
def test_the_margin_is_the_claim_s_or_the_catalogue_s(metric, keys, worst):
    values = {name: {metric: [0.5, 0.5]} for name in ("full", "b")}
    assert judge_claims(over_seeds(values), experiment(claim(metric, **keys)))["worst"].tolist() == [
        pytest.approx(worst)
    ]


def test_other_metrics_and_modes_do_not_count():
    values = {"full": {"fd_alexnet": [10, 11, 12], "lpips": [1, 2, 3]}, "b": {"fd_alexnet": [20, 22, 24.1]}}
    others = over_seeds({"b": {"fd_alexnet": [1, 1, 1]}}, mode="reference")
    (row,) = judge_claims(pd.concat([over_seeds(values), others]), experiment(claim())).itertuples()
    assert row.value == pytest.approx((20 * 22 * 24.1) ** (1 / 3))
    assert (row.seeds, row.baseline_seeds) == (3, 3)


def test_p_values_are_corrected_for_the_claims_alone():
    rng = np.random.default_rng(0)
    values = {name: {"lpips": rng.random(3), "fd_alexnet": rng.random(3)} for name in ("full", "b", "c")}
    declared = experiment(claim(), claim("lpips", variant="c"), claim("truth_l1", mode="reference"))
    table = judge_claims(over_seeds(values), declared)
    p = table["p"].dropna()
    assert table["p_holm"].min() == pytest.approx(min(1, 2 * p.min()))
    absent = table.iloc[2]
    assert (absent["verdict"], absent["seeds"]) == (OPEN, 0)
    assert "is not measured" in absent["sentence"]


def test_seeds_without_rows_are_counted():
    values = {"full": {"lpips": [1, 2, 3]}, "b": {"lpips": [1, 2]}}
    (row,) = judge_claims(over_seeds(values), experiment(claim("lpips"), seeds=(0, 1, 2, 3))).itertuples()
    assert (row.missing, row.baseline_missing) == (2, 1)
    assert row.sentence.endswith(" Seeds without rows (training diverged or failed): b 2 of 4, full 1 of 4.")
    assert "2 seeds and 3 of full, not paired" in row.sentence


def test_a_baseline_of_which_no_run_is_there_decides_nothing():
    table = judge_claims(over_seeds({"b": {"lpips": [1, 2, 3]}, "c": {"lpips": [1, 2, 3]}}), experiment(claim("lpips")))
    assert table["verdict"].tolist() == [OPEN]
    assert table["baseline"].tolist() == ["full"]
    assert table["baseline_missing"].tolist() == [3]


def over_steps(metric, runs):
    """Rows on the even sources: `runs` by variant, values by seed and step."""
    tables = [
        over_seeds({variant: {metric: [values[place]]}}, place, "offline, even sources", first_seed=seed)
        for variant, seeds in runs.items()
        for seed, values in enumerate(seeds)
        for place in range(len(values))
    ]
    last = {variant: {metric: [values[-1] for values in seeds]} for variant, seeds in runs.items()}
    return pd.concat([*tables, over_seeds(last, 9)])


SWING = claim(over="swing")


def test_a_swing_is_the_spread_over_the_last_half_of_the_steps():
    wild = [99, 1, 99, 2, 4, 8]  # the last three: logarithms log 2 apart
    found = swings(over_steps("fd_alexnet", {"full": [wild]}), Claim(**SWING))
    assert found[["variant", "seed"]].to_numpy().tolist() == [["full", 0]]
    assert found["value"].item() == pytest.approx(np.log(2))
    nine = swings(over_steps("fd_alexnet", {"full": [[99, 99, 99, 99, 1, 2, 4, 8, 16]]}), Claim(**SWING))
    assert nine["value"].item() == pytest.approx(np.log(2) * 2.5**0.5)  # the last five
    zero = swings(over_steps("fd_alexnet", {"full": [[0, 100, 100]]}), Claim(**SWING))
    assert zero["value"].item() == pytest.approx(np.log(1000) / 3**0.5)  # a thousandth of the largest in its place
    share = swings(
        over_steps("domain_accuracy", {"full": [[0.7, 0.8, 0.9]]}), Claim(**claim("domain_accuracy", over="swing"))
    )
    assert share["value"].item() == pytest.approx(0.1)


def test_a_variant_that_swings_more_holds_the_claim():
    runs = {"full": [[2, 2.1, 2], [2, 2.1, 2.2], [2, 2, 2.1]], "b": [[2, 4, 2], [2, 4.4, 2], [2, 4, 2.2]]}
    (row,) = judge_claims(over_steps("fd_alexnet", runs), experiment(SWING)).itertuples()
    assert row.verdict == HOLDS
    assert row.sentence.startswith(
        "Without cyc the swing of the Fréchet distance over the last evaluated steps rises by "
    )
    assert row.sentence.endswith(" (latent, 3 seeds). No run diverged or failed.")
    assert (row.value, row.seeds) == (pytest.approx(0.42, abs=0.05), 3)


def test_a_run_of_too_few_steps_is_left_out_of_swings():
    found = swings(over_steps("fd_alexnet", {"full": [[2, 2], [2, 4, 8]]}), Claim(**SWING))
    assert found[["variant", "seed"]].to_numpy().tolist() == [["full", 1]]


def test_a_swing_of_a_variant_that_never_ended_is_not_called_short():
    runs = {"full": [[2, 2.1, 2], [2, 2.1, 2.2], [2, 2, 2.1]]}
    (row,) = judge_claims(over_steps("fd_alexnet", runs), experiment(SWING)).itertuples()
    assert (row.verdict, row.missing, row.baseline_missing) == (OPEN, 3, 0)
    assert "A swing needs" not in row.sentence
    assert row.sentence.endswith(" Seeds without rows (training diverged or failed): b 3 of 3, full 0 of 3.")


def test_two_steps_are_too_few_for_a_swing():
    runs = {"full": [[2, 2], [2, 2]], "b": [[2, 4], [2, 5]]}
    for table in (over_steps("fd_alexnet", runs), over_seeds({name: {"fd_alexnet": [1, 2]} for name in runs})):
        (row,) = judge_claims(table, experiment(SWING)).itertuples()
        assert row.verdict == OPEN
        assert row.sentence.startswith("A swing needs 3 or more evaluated steps (train.evaluate_every or evaluate_at).")
