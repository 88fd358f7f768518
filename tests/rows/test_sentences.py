"""Effects in plain words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sg2bench.rows.effects import Effect
from sg2bench.rows.sentences import change, sentence, significant

RATIO = Effect("ratio", 3.1, 2.3, 1.35, 1.2, 1.52, 0.01, 2.0, "worse", 5, 5, True)
DIFFERENCE = Effect("difference", 0.63, 0.98, -0.3512, -0.52, -0.201, 0.01, 2.0, "worse", 5, 5, True)


def said(effect, noun="the position error", symbol="px"):
    return sentence(effect, "Without cyc", noun, symbol, "latent", "full")


@pytest.mark.parametrize(
    ("effect", "expected"),
    [
        (RATIO, "rises by 35 % [20 %, 52 %], from 2.30 to 3.10 px (latent, 5 seeds)."),
        (
            replace(RATIO, effect=0.65, ci_low=0.48, ci_high=0.8),
            "falls by 35 % [20 %, 52 %], from 2.30 to 3.10 px (latent, 5 seeds).",
        ),
        (
            replace(RATIO, effect=1.04, ci_low=0.92, ci_high=1.18, direction="unclear"),
            "shows no significant change: +4 % [-8 %, +18 %], from 2.30 to 3.10 px (latent, 5 seeds).",
        ),
        (
            replace(
                RATIO,
                ci_low=float("nan"),
                ci_high=float("nan"),
                direction="unclear",
                seeds=1,
                baseline_seeds=1,
                paired=False,
            ),
            "rises by 35.0 %, from 2.30 to 3.10 px (latent, one seed: no interval).",
        ),
        (
            replace(RATIO, seeds=3, paired=False),
            "rises by 35 % [20 %, 52 %], from 2.30 to 3.10 px (latent, 3 seeds and 5 of full, not paired).",
        ),
        (
            replace(RATIO, ci_low=float("nan"), ci_high=float("nan"), direction="unclear", seeds=1, paired=False),
            "rises by 35.0 %, from 2.30 to 3.10 px (latent, 1 seed and 5 of full: no interval).",
        ),
        (Effect("ratio"), "cannot be compared: it is not measured for both variants (latent)."),
    ],
)
def test_a_ratio_in_words(effect, expected):
    assert said(effect) == f"Without cyc the position error {expected}"


def test_a_difference_has_its_unit():
    assert said(DIFFERENCE, "the share", "").startswith(
        "Without cyc the share falls by 0.35 [0.20, 0.52], from 0.980 to"
    )
    assert " falls by 0.35 px [0.20, 0.52], from 0.980 to 0.630 px (" in said(DIFFERENCE)
    still = replace(DIFFERENCE, effect=0.0, ci_low=0.0, ci_high=0.0, direction="unclear")
    assert " shows no significant change: +0.00 px [+0.00, +0.00], " in said(still)


@pytest.mark.parametrize(
    ("effect", "expected"),
    [
        (RATIO, "+35 % [+20 %, +52 %]"),
        (DIFFERENCE, "-0.35 [-0.52, -0.20]"),
        (replace(RATIO, ci_low=1.348, ci_high=1.352), "+35.0 % [+34.8 %, +35.2 %]"),
        (replace(DIFFERENCE, effect=-0.0001, ci_low=-0.04, ci_high=0.04), "-0.0001 [-0.0400, +0.0400]"),
        (replace(DIFFERENCE, effect=4e-7, ci_low=1e-7, ci_high=7e-7), "+0.00000040 [+0.00000010, +0.00000070]"),
        (replace(DIFFERENCE, effect=4e-10, ci_low=1e-10, ci_high=7e-10), "+4.0e-10 [+1.0e-10, +7.0e-10]"),
        (replace(RATIO, ci_high=1e15), "+35 % [+20 %, +1.0e+17 %]"),
        (replace(RATIO, ci_low=float("nan")), "+35.0 %"),
        (Effect("ratio"), "–"),
    ],
)
def test_short_texts_have_the_digits_that_the_interval_allows(effect, expected):
    assert change(effect) == expected


def test_what_is_not_zero_or_not_equal_does_not_look_so():
    shown = change(replace(RATIO, effect=1.09, ci_low=0.9993, ci_high=1.18))
    assert shown == "+9.0 % [-0.1 %, +18.0 %]"
    assert "from 1.0000 to 0.9998 " in said(replace(DIFFERENCE, baseline_value=1.0, value=0.9998))


def test_three_significant_digits():
    assert [significant(value) for value in (0, 1151.4, 132.4, 13.25, 0.98, -6.25e-5, -0.5)] == [
        *("0.00", "1151", "132", "13.2", "0.980", "-0.0000625", "-0.500")
    ]
