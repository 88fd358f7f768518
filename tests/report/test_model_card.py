"""The card's metadata are those of the rows; the Hub's own library reads them, where it is installed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import yaml

import sg2bench
from sg2bench import rows as row_table
from sg2bench.report.model_card import model_card
from tests.cli.test_cli import assert_refused
from tests.tables import study


def metadata(card):
    return yaml.safe_load(card.split("---\n")[1])


def values(card):
    results = metadata(card)["model-index"][0]["results"]
    return {value["name"]: value for result in results for value in result["metrics"]}


@pytest.fixture(scope="module")
def table():
    return study(seeds=(0, 1, 2))


@pytest.fixture
def results(table, tmp_path):
    row_table.write(table, tmp_path / "results.csv")
    return tmp_path / "results.csv"


def test_values_are_means_over_seeds_with_students_interval(table, results):
    card = model_card(results, variant="no_ds")
    value = values(card)["fd_alexnet (latent)"]
    rows = row_table.overall(table[(table["variant"] == "no_ds") & (table["mode"] == "latent")])
    each = rows[rows["metric"] == "fd_alexnet"]["value"]
    half_width = 4.302653 * each.std() / np.sqrt(3)  # Student's t with 2 degrees of freedom, from a table
    assert value["type"] == "fd_alexnet"
    assert value["value"] == pytest.approx(each.mean(), rel=1e-5)
    assert value["args"]["ci_low"] == pytest.approx(each.mean() - half_width, rel=1e-4)
    assert value["args"]["ci_high"] == pytest.approx(each.mean() + half_width, rel=1e-4)
    assert value["args"] | {"interval": "95 %, over seeds", "seeds": [0, 1, 2], "protocol": "offline"} == value["args"]
    assert value["args"]["protocol_hash"] == "0" * 16


def test_one_seed_has_the_interval_of_its_images(table, results):
    one = table[table["seed"] == 0].assign(ci_low=table["value"] - 0.25, ci_high=table["value"] + 0.5)
    row_table.write(one, results)
    value = values(model_card(results))["fd_alexnet (latent)"]
    assert value["args"]["ci_low"] == pytest.approx(value["value"] - 0.25, rel=1e-4)
    assert value["args"]["ci_high"] == pytest.approx(value["value"] + 0.5, rel=1e-4)
    assert value["args"]["interval"] == "95 %, over the sample of images"
    row_table.write(one.assign(ci_low=np.nan, ci_high=np.nan), results)
    assert "ci_low" not in values(model_card(results))["fd_alexnet (latent)"]["args"]


def test_every_metric_and_mode_of_the_variant_is_there(table, results):
    card = model_card(results)
    found = row_table.metrics_and_modes(row_table.overall(table[table["variant"] == "full"]))
    assert list(values(card)) == sorted(
        (f"{metric} ({mode})" for metric, mode in found), key=lambda name: name.endswith("(reference)")
    )
    assert metadata(card)["model-index"][0]["name"] == "study-full"
    assert card.count("\n| ") == 1 + len(found) + 1
    assert metadata(model_card(results, name="Mine: 1"))["model-index"][0]["name"] == "Mine: 1"


def test_the_hub_reads_it(results):
    hub = pytest.importorskip("huggingface_hub")
    card = hub.ModelCard(model_card(results))
    (first, *_) = card.data.eval_results
    ours = values(str(card))[first.metric_name]
    assert (first.metric_type, first.metric_value, first.metric_args) == (ours["type"], ours["value"], ours["args"])
    assert (first.task_type, first.dataset_name) == ("image-to-image", "study")
    assert card.data.model_name == "study-full"


def test_the_command(quick_cli, results, tmp_path):
    process = quick_cli("export-model-card", results, "--variant", "no_ds", "--out", "card/README.md")
    assert process.returncode == 0, process.stderr
    text = (tmp_path / "card/README.md").read_text()
    assert text == sg2bench.model_card(results, variant="no_ds")
    assert quick_cli("export-model-card", results, "--variant", "no_ds").stdout == text
    assert_refused(quick_cli("export-model-card", results, "--out", "card/README.md"), "already exists")
    assert (tmp_path / "card/README.md").read_text() == text


def test_wrong_use_is_refused(quick_cli, results, table):
    assert_refused(quick_cli("export-model-card", results, "--variant", "nods"), "no variant 'nods'", "no_ds")
    row_table.write(pd.concat([table, table.assign(experiment="other")]), results)
    assert_refused(quick_cli("export-model-card", results), "several experiments")
    row_table.write(table[table["source"] != "*"], results)
    assert_refused(quick_cli("export-model-card", results), "no overall value")
