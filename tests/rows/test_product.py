"""What sg2bench writes, sg2bench reads: rows of any domains, metrics, values, intervals and devices."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from sg2bench import devices, gate, provenance, rows, texts
from sg2bench.catalog import METRICS, PROTOCOLS, REFERENCE_LINES, metrics_of
from sg2bench.config import Experiment
from sg2bench.evaluation.uncertainty import Estimate
from sg2bench.evaluation.values import Value, means, tabulate
from sg2bench.gate import output
from sg2bench.report import leaderboard, write

CUDA = torch.device("cuda")
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NAME = st.from_regex(texts.NAME, fullmatch=True)
DOMAINS = st.one_of(
    st.lists(TEXT.filter(texts.is_domain), min_size=2, max_size=3, unique=True),
    st.sampled_from([["big cat", 'café, "young"'], ["it's", "猫"], ["train", "0"], ["a\\b", "*x_"], ["$x$", "#1;2"]]),
)


@st.composite
def values_of(draw, metrics, domains):
    """Values of all pairs with counts that differ, and intervals that may be empty or without an end."""
    values = []
    for source in domains:
        for target in domains:
            if source == target:
                continue
            counts = draw(st.integers(1, 10**6)), draw(st.integers(1, 10**6))
            for name in metrics:
                metric = METRICS[name]
                value = draw(st.floats(-rows.LARGEST if metric.signed else 0, min(metric.most, rows.LARGEST)))
                influence = np.array(draw(st.sampled_from([[0.5, -0.5], [0.0, 0.0], [np.nan, 0.0], [1e200, -1e200]])))
                bounds = (-np.inf, np.inf) if metric.signed else (0.0, metric.most)
                estimate = Estimate(value, {f"val/{source}": influence}, bounds=bounds)
                values.append(Value("latent", source, target, name, estimate, *counts))
    return values


def latent_metrics(protocol):
    return [name for name in metrics_of(protocol) if "latent" in METRICS[name].modes]


@st.composite
def tables(draw, seeds):
    protocol = draw(st.sampled_from(PROTOCOLS))
    metrics = draw(st.lists(st.sampled_from(latent_metrics(protocol)), min_size=1, max_size=2, unique=True))
    experiment = Experiment(name=draw(NAME), evaluate={"protocol": protocol, "metrics": metrics, "modes": ["latent"]})
    values = draw(values_of(metrics, draw(DOMAINS)))
    variant, device = draw(NAME.filter(lambda name: name not in REFERENCE_LINES)), draw(TEXT)
    with pytest.MonkeyPatch.context() as patch, np.errstate(over="ignore"):
        patch.setattr(devices, "full_name", lambda _: device)
        patch.setattr(provenance, "git_commit", lambda: "")
        every = values + means(values)
        made = [tabulate(every, experiment, variant, seed, 4, "f" * 16, CUDA, "c" * 16) for seed in range(seeds)]
    return pd.concat(made, ignore_index=True)


@settings(max_examples=40)
@given(tables(seeds=2))
def test_every_row_is_read_as_it_was_written(tmp_path_factory, table):
    file = tmp_path_factory.mktemp("rows") / "r.csv"
    rows.write(table, file)
    read = rows.read(file, need_pairs=True)
    for column in rows.COLUMNS:
        expected = table[column].where(table[column].notna(), np.nan)
        pd.testing.assert_series_equal(read[column], expected, check_dtype=False)


@settings(max_examples=4, phases=[Phase.reuse, Phase.generate])
@given(tables(seeds=2))
@pytest.mark.filterwarnings("ignore:the plots' font", "ignore:constrained_layout not applied")
def test_every_row_can_be_reported_ranked_and_compared(tmp_path_factory, table):
    folder = tmp_path_factory.mktemp("rows")
    rows.write(table, folder / "r.csv")
    write.write(folder / "r.csv", folder / "out", "made")
    for _ in range(2):
        leaderboard.add([folder / "out/results.csv"], folder / "board", "made")
    compared = gate.compare(folder / "r.csv", folder / "out/results.csv", gate.margins())
    assert gate.verdict(compared) == "pass"
    assert gate.verdict(gate.compare_exactly(folder / "r.csv", folder / "out/results.csv", 0)) == "pass"
    assert len(ET.fromstring(output.junit(compared))) == len(compared)
    assert len(json.loads(output.as_json(compared))["lines"]) == len(compared)
    assert output.markdown(compared).count("\n") == 4 + len(compared)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e31])
def test_a_value_that_no_row_can_hold_is_refused_where_it_is_measured(tiny, value):
    found = [Value("latent", "a", "b", "lpips", Estimate(value, {"val/a": np.array([0.1, -0.1])}), 7, 5)]
    with pytest.raises(ValueError, match=f"latent a → b: lpips is {value}".replace("+", r"\+")):
        tabulate(found, tiny, "full", 0, 4, "f" * 16, torch.device("cpu"), "c" * 16)
