"""Margins in a metric's own unit, and values that all seeds share."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sg2bench import gate, rows
from sg2bench.catalog import METRICS
from sg2bench.gate import output
from sg2bench.gate.quality import judge, scale_sides
from sg2bench.statistics import difference
from tests.tables import study


@pytest.fixture
def studies(tmp_path):
    """Writes studies whose overall and domain values of a metric are those given by seed, as baseline and results."""

    def write(metric, old, new, images=40):
        for name, values in (("old.csv", old), ("new.csv", new)):
            made = study(["full"], range(len(values)), metrics=[metric]).assign(n_fake=images)
            made["value"] = made["seed"].map(dict(enumerate(values))).where(made["variant"] == "full", made["value"])
            rows.write(made, tmp_path / name)
        return tmp_path / "new.csv", tmp_path / "old.csv"

    return write


EQUAL_VALUES = [("domain_accuracy", 1.0), ("domain_accuracy", 0.0), ("nearest_training_gap", 0.0), ("style_leak", 0.0)]


@pytest.mark.parametrize(("metric", "value"), [*EQUAL_VALUES, ("truth_l1", 0.0), ("precision", 1.0)])
def test_values_that_all_seeds_share_pass(studies, metric, value):
    compared = gate.compare(*studies(metric, [value] * 3, [value] * 3), gate.margins())
    assert gate.verdict(compared) == "pass"
    assert not compared[["worse_by", "margin", "p_pass", "p_fail"]].isna().any(axis=None)


@pytest.mark.parametrize(
    ("metric", "old", "new"),
    [("domain_accuracy", 1.0, 0.8), ("domain_accuracy", 0.2, 0.0), ("nearest_training_gap", 0.0, -0.2),
     ("source_retrieval", 0.9, 0.8), ("style_leak", 0.0, 0.1), ("truth_l1", 10.0, 20.0), ("precision", 1.0, 0.8)],
)  # fmt: skip
def test_a_loss_that_all_seeds_share_is_a_regression_and_a_gain_passes(studies, metric, old, new):
    assert gate.verdict(gate.compare(*studies(metric, [old] * 5, [new] * 5), gate.margins())) == "regression"
    assert gate.verdict(gate.compare(*studies(metric, [new] * 5, [old] * 5), gate.margins())) == "pass"


def test_two_seeds_that_lost_one_image_each_are_no_proof(studies):
    few = gate.compare(*studies("domain_accuracy", [1.0, 1.0], [0.875, 0.875], images=8), gate.margins())
    assert gate.verdict(few) == "inconclusive"
    many = gate.compare(*studies("domain_accuracy", [1.0] * 5, [0.875] * 5, images=1000), gate.margins())
    assert gate.verdict(many) == "regression"


def test_a_margin_may_be_in_the_metric_s_own_unit_and_so_is_what_is_said(studies):
    both = studies("style_leak", [0.01, 0.0, 0.02, 0.0, 0.01], [0.03, 0.02, 0.04, 0.02, 0.03])
    compared = gate.compare(*both, gate.margins())
    assert gate.verdict(compared) == "pass"
    assert compared["worse_by"].to_list() == pytest.approx([0.02] * len(compared))
    assert (compared["margin"] == 0.05).all()
    worse = gate.compare(*both, gate.margins({"style_leak": 0.01}))
    assert gate.verdict(worse) == "regression"
    assert "| style_leak | * | 0.008 | 0.028 | +0.02 absolute | regression |" in output.markdown(worse)
    assert "worse by +0.02 absolute" in output.junit(worse)
    assert "worse by 0.02 absolute: 0.028, baseline 0.008" in output.github_errors(worse)[0]
    assert json.loads(output.as_json(worse))["lines"][0]["absolute"] is True


def test_equality_near_zero_is_in_the_metric_s_own_unit(studies):
    both = studies("nearest_training_gap", [0.0], [-0.004])
    assert gate.verdict(gate.compare_exactly(*both, 0.005)) == "pass"
    worse = gate.compare_exactly(*both, 0.003)
    assert gate.verdict(worse) == "regression"
    assert worse["worse_by"].to_list() == pytest.approx([0.004] * len(worse))


@pytest.mark.parametrize("metric", METRICS)
@given(data=st.data())
def test_every_metric_s_values_get_a_verdict(metric, data):
    entry = METRICS[metric]
    least = -0.5 if entry.signed else 0.0
    value = st.sampled_from([least, 0.0, min(entry.most, 1.0)]) | st.floats(least, min(entry.most, 1e3))
    new, old = (pd.Series(data.draw(st.lists(value, min_size=2, max_size=5))) for _ in "ab")
    now, then, room = scale_sides(metric, new, old, entry.margin)
    found = difference(now, then, 0.025 if entry.counted else 0.0)
    assert 0 <= found.p_at_least(room) <= 1
    assert 0 <= found.p_at_most_zero() <= 1
    if new.tolist() == old.tolist():
        assert judge(np.array([found.p_at_least(room)]), np.array([1.0])) == [gate.PASS]
