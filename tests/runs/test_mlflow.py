"""Runs in MLflow, read back with its own client from a store in a local folder; the default store is a slow test."""

from __future__ import annotations

import sys

import pandas as pd
import pytest

from sg2bench import rows as row_table
from tests.cli.test_cli import SMOKE, assert_refused

mlflow = pytest.importorskip("mlflow")
pytestmark = pytest.mark.filterwarnings("ignore")  # those of MLflow
SETTINGS = ("--set", "train.steps=4", "--set", "evaluate.sources=3", "--set", "evaluate.outputs_per_source=2")


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # a database takes 20 s to make
    return (tmp_path / "mlruns").as_uri()


def runs_of(uri):
    client = mlflow.MlflowClient(tracking_uri=uri)
    (experiment,) = (found for found in client.search_experiments() if found.name == "smoke")
    return client, client.search_runs([experiment.experiment_id])


def history(client, run, tag):
    return [(metric.step, metric.value) for metric in client.get_metric_history(run.info.run_id, tag)]


def test_an_experiment(quick_cli, store, tmp_path):
    """A second time, with one line more in the log, that line alone is added."""
    assert quick_cli("run", SMOKE, "--variant", "no_ds", "--seed", "1", *SETTINGS).returncode == 0
    process = quick_cli("mlflow", "runs", "--uri", store)
    assert process.returncode == 0, process.stderr
    assert process.stdout.startswith("Runs: 1. View them with: mlflow ui")
    folder = tmp_path / "runs/smoke/no_ds/seed-1"
    curves, rows = pd.read_csv(folder / "train.csv"), row_table.overall(row_table.read(folder / "rows.csv"))
    client, (run,) = runs_of(store)
    assert (run.info.run_name, run.info.status) == ("no_ds/seed-1", "FINISHED")
    assert (run.data.params["loss.ds"], run.data.params["train.steps"]) == ("0.0", "4")
    for term in curves.columns[1:]:
        assert history(client, run, term) == list(curves[["step", term]].dropna().itertuples(index=False, name=None))
    for row in rows.itertuples():
        assert history(client, run, f"metrics/{row.mode}/{row.metric}") == [(4, row.value)]
    artifacts = {file.path for file in client.list_artifacts(run.info.run_id, "samples")}
    assert artifacts == {f"samples/{path.name}" for path in (folder / "samples").glob("*.png")}
    with (folder / "train.csv").open("a") as log:
        log.write(",".join(["5", *["0.5"] * (len(curves.columns) - 1)]) + "\n")
    assert quick_cli("mlflow", "runs", "--uri", store).returncode == 0
    client, (run,) = runs_of(store)
    assert history(client, run, curves.columns[1])[-2:][1] == (5, 0.5)
    assert len(history(client, run, "metrics/latent/fd_alexnet")) == 1
    measured_again = row_table.read(folder / "rows.csv")
    row_table.write(measured_again.assign(value=measured_again["value"] / 2), folder / "rows.csv")
    for _ in range(2):
        assert quick_cli("mlflow", "runs", "--uri", store).returncode == 0
    client, (run,) = runs_of(store)
    assert len(history(client, run, "metrics/latent/fd_alexnet")) == 2
    assert run.data.metrics["metrics/latent/fd_alexnet"] == history(client, run, "metrics/latent/fd_alexnet")[0][1] / 2


def test_wrong_use_is_refused(quick_cli, tmp_path, monkeypatch):
    assert_refused(quick_cli("mlflow", "runs"), "runs: no run folder found")
    (tmp_path / "runs/smoke/full/seed-0").mkdir(parents=True)
    (tmp_path / "runs/smoke/full/seed-0/train.csv").write_text("step,a\n1,2\n")
    assert_refused(quick_cli("mlflow", "runs", "--uri", "nonsense://x"), "MLflow at nonsense://x: ")
    monkeypatch.setitem(sys.modules, "mlflow", None)
    assert_refused(quick_cli("mlflow", "runs"), "pip install mlflow")


@pytest.mark.slow
def test_the_default_store_is_a_database_in_a_file(quick_cli, tmp_path):
    assert quick_cli("run", SMOKE, "--variant", "full", "--seed", "0", *SETTINGS).returncode == 0
    assert quick_cli("mlflow", "runs").returncode == 0
    assert quick_cli("mlflow", "runs").returncode == 0
    client, (run,) = runs_of(f"sqlite:///{tmp_path}/mlflow.db")
    assert len(history(client, run, "metrics/latent/fd_alexnet")) == 1
