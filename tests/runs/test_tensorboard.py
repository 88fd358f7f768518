"""Event files, read back with TensorBoard's own reader, beside the CSV that they come from."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sg2bench import rows as row_table
from tests.cli.test_cli import SMOKE, assert_refused

LOG = "step,ds_weight,d_latent/real,g_latent/adv\n2,0.5,0.25,\n4,0,1.5,-3\n"


def read(folder):
    events = EventAccumulator(str(folder))
    events.Reload()
    return events


def scalars(events, tag):
    return [(event.step, event.value) for event in events.Scalars(tag)]


@pytest.fixture
def run_folder(tmp_path):
    folder = tmp_path / "runs/toy/full/seed-0"
    (folder / "samples").mkdir(parents=True)
    (folder / "train.csv").write_text(LOG)
    return folder


def test_a_run_that_is_training(quick_cli, run_folder):
    """Its last line is half written; it is there the next time, and nothing is there twice."""
    (run_folder / "train.csv").write_text(LOG + "6,0,2.")
    for _ in range(2):
        process = quick_cli("tensorboard", "runs")
        assert process.returncode == 0, process.stderr
        assert "Runs: 1. View them with: tensorboard --logdir runs" in process.stdout
        events = read(run_folder)
        assert set(events.Tags()["scalars"]) == {"ds_weight", "d_latent/real", "g_latent/adv"}
        assert scalars(events, "d_latent/real") == [(2, 0.25), (4, 1.5)]
        assert scalars(events, "g_latent/adv") == [(4, -3)]
    (run_folder / "train.csv").write_text(LOG + "6,0,2.75,1\n")
    assert quick_cli("tensorboard", "runs").returncode == 0
    assert scalars(read(run_folder), "d_latent/real") == [(2, 0.25), (4, 1.5), (6, 2.75)]


@pytest.mark.parametrize("log", ["", "step,ds_w"])
def test_a_run_that_has_logged_nothing_yet(quick_cli, run_folder, log):
    (run_folder / "train.csv").write_text(log)
    assert quick_cli("tensorboard", "runs").returncode == 0
    assert read(run_folder).Tags()["scalars"] == []


def test_sample_grids(quick_cli, run_folder, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)
    Image.fromarray(pixels).save(run_folder / "samples/latent.png")
    assert quick_cli("tensorboard", "runs", "--out", "events").returncode == 0
    assert not list(run_folder.glob("events*"))
    (image,) = read(tmp_path / "events/toy/full/seed-0").Images("samples/latent")
    assert image.step == 4
    (tmp_path / "back.png").write_bytes(image.encoded_image_string)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "back.png")), pixels)


def test_an_experiment(quick_cli, tmp_path):
    settings = ("--set", "train.steps=4", "--set", "evaluate.sources=3", "--set", "evaluate.outputs_per_source=2")
    assert quick_cli("run", SMOKE, "--variant", "no_ds", "--seed", "1", *settings).returncode == 0
    process = quick_cli("tensorboard", "runs", "--out", "events")
    assert process.returncode == 0, process.stderr
    run, events = tmp_path / "runs/smoke/no_ds/seed-1", read(tmp_path / "events/smoke/no_ds/seed-1")
    assert events.Tags()["images"] == ["samples/examples", "samples/latent", "samples/reference"]
    curves, rows = pd.read_csv(run / "train.csv"), row_table.read(run / "rows.csv")
    metrics = ("fd_alexnet", "lpips", "lpips_to_source")
    expected = {f"metrics/{mode}/{metric}" for mode in ("latent", "reference") for metric in metrics}
    assert set(events.Tags()["scalars"]) == expected | set(curves.columns[1:])
    for term in curves.columns[1:]:
        np.testing.assert_allclose(
            scalars(events, term), curves[["step", term]].dropna().to_numpy(), rtol=1e-6, err_msg=term
        )
    for tag in expected:
        _, mode, metric = tag.split("/")
        overall = rows[(rows["source"] == "*") & (rows["target"] == "*")]
        (value,) = overall[(overall["mode"] == mode) & (overall["metric"] == metric)]["value"]
        assert scalars(events, tag) == [(4, pytest.approx(value, rel=1e-6))]


def test_wrong_use_is_refused(quick_cli, tmp_path, monkeypatch):
    assert_refused(quick_cli("tensorboard", "runs"), "runs: no run folder found")
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    assert_refused(quick_cli("tensorboard", "runs"), "pip install tensorboard")


def test_others_events_stay_and_a_log_that_is_none_is_named(quick_cli, run_folder):
    theirs = run_folder / "events.out.tfevents.1.theirs"
    theirs.write_bytes(b"")
    assert quick_cli("tensorboard", "runs").returncode == 0
    (run_folder / "train.csv").write_text("step,a\n1,2\n3,x\n")
    assert_refused(quick_cli("tensorboard", "runs"), "train.csv: line 3: not a line of a training log")
    assert theirs.exists()
    assert len(list(run_folder.glob("events*"))) == 2
