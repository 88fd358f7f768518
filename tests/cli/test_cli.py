"""End to end, as a user would."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
import torch

from sg2bench import experiments
from sg2bench import rows as row_table
from sg2bench.catalog import REFERENCE_LINES

SMOKE = experiments.shipped()["smoke"]


def assert_refused(process, *parts):
    assert process.returncode == 2, process.stderr
    assert "Traceback" not in process.stderr
    for part in parts:
        assert part in process.stderr


@pytest.mark.parametrize("command", [("run", "--variant", "full", "--seed", 0), ("plan",)])
def test_a_url_is_no_folder(quick_cli, tmp_path, command):
    process = quick_cli(command[0], SMOKE, *command[1:], "--runs", "memory://bucket/runs")
    assert_refused(process, "--runs memory://bucket/runs: a URL needs `ablate --executor ray`; give a folder")
    assert not list(tmp_path.iterdir())


def test_variants_that_all_have_other_images_than_the_experiment_are_reported(in_process, tmp_path):
    changes = "{data.val_per_domain: 5, data.seed: 3}"
    settings = ("train.steps=1", "seeds=[0]", f"variants={{full: {changes}, copy: {changes}}}")
    options = [part for setting in (*settings, "evaluate.metrics=[fd_alexnet]") for part in ("--set", setting)]
    assert in_process("plan", SMOKE, *options, "--workers", 1).returncode == 0
    process = in_process("ablate", SMOKE, *options)
    assert process.returncode == 0, process.stderr
    table = row_table.read(tmp_path / "reports/smoke/results.csv")
    row_table.refuse_mixture(table, tmp_path)
    assert set(table["variant"]) > {"full", "copy"}


def test_ablate_repeat_evaluate_report_check(cli, quick_cli, tmp_path, monkeypatch):
    process = cli("ablate", SMOKE, "--set", "train.steps=4")
    assert process.returncode == 0, process.stderr
    assert "full/seed-0" in process.stdout
    out = tmp_path / "reports/smoke"
    table = row_table.read(out / "results.csv")
    assert set(table["variant"]) == {"full", "no_ds", *REFERENCE_LINES}
    assert set(table["seed"]) == {0, 1}
    assert {path.name for path in (out / "grids").iterdir()} == {
        f"{variant}-{mode}.png" for variant in ("full", "no_ds") for mode in ("latent", "reference", "examples")
    }
    assert (out / "report.html").stat().st_size > 50_000

    again = cli("ablate", SMOKE, "--set", "train.steps=4")
    assert again.returncode == 0
    assert "4 runs, 0 to do" in again.stdout
    pd.testing.assert_frame_equal(
        row_table.read(out / "results.csv").drop(columns="created_at"), table.drop(columns="created_at")
    )

    checkpoint = tmp_path / "runs/smoke/full/seed-1/000004_nets_ema.ckpt"
    process = quick_cli("evaluate", checkpoint, "--experiment", SMOKE, "--seed", 1, "--out", "mine.csv")
    assert process.returncode == 0, process.stderr
    mine = row_table.read(tmp_path / "mine.csv")
    theirs = table[(table["variant"] == "full") & (table["seed"] == 1)]
    assert mine["value"].tolist() == theirs["value"].tolist()

    other = quick_cli("ablate", SMOKE, "--set", "train.steps=5")
    assert_refused(other, "made with another configuration (train.steps 4 → 5)")

    process = quick_cli("check", out / "results.csv", "--baseline", out / "results.csv")
    assert process.returncode == 0
    assert "No regression: 48 pass" in process.stdout
    changed = (table["metric"] == "fd_alexnet") & (table["seed"] == 0)
    worse = table.assign(value=table["value"] * (1 + changed))
    row_table.write(worse, tmp_path / "worse.csv")
    against = ("check", "worse.csv", "--baseline", out / "results.csv")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "step.md"))
    process = quick_cli(*against, "--exact", 1e-6, "--junit", "junit.xml")
    assert process.returncode == 1
    assert "Regression: 16 regression, 80 pass" in process.stdout
    assert "+100.0%" in process.stdout
    assert "regression" in (tmp_path / "step.md").read_text()
    assert 'failures="16"' in (tmp_path / "junit.xml").read_text()
    process = quick_cli(*against)  # one of two seeds: that may be chance
    assert process.returncode == 3
    assert "more than 200 seeds would be needed" in process.stdout
    assert quick_cli(*against, "--inconclusive-ok").returncode == 0
    assert quick_cli(*against, "--update-baseline", "--reason", "cats are hard").returncode == 0
    assert quick_cli(*against, "--exact", 0).returncode == 0
    assert_refused(quick_cli(*against, "--update-baseline"), "--update-baseline and --reason")
    row_table.write(table, out / "results.csv")

    process = quick_cli("report", out / "results.csv", "--out", "elsewhere")
    assert process.returncode == 0
    assert (tmp_path / "elsewhere/report.html").is_file()


def test_a_failing_variant_is_reported_and_the_others_finish(cli, tmp_path):
    text = SMOKE.read_text().replace("no_ds: {loss.ds: 0}", "wild: {train.learning_rate: 1.0e30}")
    (tmp_path / "bad.yaml").write_text(text.replace("name: smoke", "name: bad").replace("[0, 1]", "[0]"))
    process = cli("ablate", "bad.yaml", "--workers", 1)
    assert process.returncode == 1
    assert "wild/seed-0 failed; its log is runs/bad/wild/seed-0/run.log" in process.stderr
    assert "training diverged; try a lower learning rate" in process.stderr
    assert set(row_table.read(tmp_path / "reports/bad/results.csv")["variant"]) == {"full", *REFERENCE_LINES}


def test_when_every_run_fails_the_exit_code_still_says_failed(cli, tmp_path):
    process = cli("ablate", SMOKE, "--set", "train.learning_rate=1.0e30", "--set", "seeds=[0]")
    assert process.returncode == 1
    assert "no_ds/seed-0 failed" in process.stderr
    assert "Traceback" not in process.stderr


def test_help_names_every_command(cli):
    process = cli("--help")
    assert process.returncode == 0
    for command in (
        *("ablate", "run", "evaluate", "score", "translate", "report", "check"),
        *("tensorboard", "bench", "data", "weights"),
    ):
        assert command in process.stdout


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("ablate", "none.yaml"), ("none.yaml: no such experiment file",)),
        (("ablate", SMOKE, "--set", "train.stepz=1"), ("unknown key `train.stepz`, did you mean `steps`?",)),
        (("ablate", SMOKE, "--set", "data.source=emoji", "--set", "data.root=x"), ("sg2bench data fetch emoji",)),
        (("run", SMOKE, "--variant", "no_sd", "--seed", "0"), ("no variant `no_sd`, did you mean `no_ds`?",)),
        (("evaluate", "none.ckpt", "--experiment", SMOKE), ("none.ckpt: no such checkpoint",)),
        (("evaluate", "x.ckpt", "--experiment", SMOKE, "--protocol", "bogus"), ("expected offline, standard, paper",)),
        (("evaluate", "x.ckpt", "--experiment", SMOKE, "--out", "."), ("--out .: is a folder; name a CSV file",)),
        (
            ("evaluate", "x.ckpt", "--experiment", SMOKE, "--set", "evaluate.protocol=[a]"),
            ("evaluate.protocol: Input",),
        ),
        (("report", "none.csv"), ("none.csv: no such file",)),
        (("check", "none.csv", "--baseline", "none.csv"), ("none.csv: no such file",)),
        (("data", "fetch", "afhq"), ("no image set `afhq` to fetch (known: emoji, glyphs)",)),
        (("bench", SMOKE, "--device", "tpu9"), ("--device tpu9",)),
        (("bench", "--set", "model.image_size=65"), ("--set: model.image_size: must be one of 32",)),
        (("run", SMOKE, "--variant", "full", "--seed", "-1"), ("--seed",)),
        (("ablate", SMOKE, "--workers", "0"), ("--workers",)),
        (("dance",), ("dance",)),
    ],
)
def test_bad_input_is_one_clear_line(quick_cli, tmp_path, arguments, parts):
    assert_refused(quick_cli(*arguments), *parts)
    assert not (tmp_path / "reports").exists()


def test_bad_input_to_the_program_as_installed(cli):
    assert_refused(cli("ablate", "none.yaml"), "sg2bench: none.yaml: no such experiment file")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there(quick_cli):
    assert_refused(quick_cli("ablate", SMOKE, "--device", "cuda"), "torch sees no CUDA devices; use --device cpu")


def test_interrupted_and_repeated(cli, tmp_path):
    """Ctrl-C stops the runs; the same command goes on and gives what an uninterrupted one gives."""
    chosen = ("train.steps=40", "seeds=[0]", "variants={full: {}}", "train.log_every=1")
    settings = [part for setting in chosen for part in ("--set", setting)]
    command = [sys.executable, "-m", "sg2bench", "ablate", str(SMOKE), *settings, "--runs", "cut"]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 (a CI in the background ignores it)
    )
    log = tmp_path / "cut/smoke/full/seed-0/train.csv"
    deadline = time.monotonic() + 300
    while not (log.is_file() and log.read_text().count("\n") > 10):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted; the same command resumes from here" in stderr
    assert not (tmp_path / "cut/smoke/full/seed-0/rows.csv").exists()
    assert cli("ablate", SMOKE, *settings, "--runs", "cut").returncode == 0
    cut = row_table.read(tmp_path / "reports/smoke/results.csv")["value"].tolist()
    assert cli("ablate", SMOKE, *settings, "--runs", "whole").returncode == 0
    assert row_table.read(tmp_path / "reports/smoke/results.csv")["value"].tolist() == cut


def test_a_report_folder_that_cannot_be_made_is_refused_before_training(quick_cli, tmp_path):
    (tmp_path / "file").write_text("")
    assert_refused(quick_cli("ablate", SMOKE, "--out", "file/report"), "file")
    assert not (tmp_path / "runs").exists()


def test_weights_without_a_network(cli, tmp_path):
    nowhere = {"PIP_INDEX_URL": "http://127.0.0.1:9/", "PIP_EXTRA_INDEX_URL": "", "PIP_FIND_LINKS": ""}
    process = cli("ablate", SMOKE, SG2BENCH_CACHE=str(tmp_path / "c"), SG2BENCH_WEIGHTS="", **nowhere)
    assert_refused(process, "lpips-alexnet.ckpt could not be downloaded", "no connection", "set SG2BENCH_WEIGHTS")
    assert not list((tmp_path / "c").rglob("*.ckpt"))


def test_weights_list_fetch_verify(quick_cli, tmp_path, monkeypatch):
    process = quick_cli("weights", "list")
    assert process.returncode == 0
    assert "inception_v3_google-0cc3c7bd.pth" in process.stdout
    process = quick_cli("weights", "verify", "alexnet-lpips")
    assert process.returncode == 0
    assert "lpips-alexnet.ckpt: as published" in process.stdout
    monkeypatch.setenv("SG2BENCH_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("SG2BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setenv("SG2BENCH_OFFLINE", "1")
    assert_refused(quick_cli("weights", "verify", "alexnet-lpips"), "lpips-alexnet.ckpt is missing")
    assert "lpips-alexnet.ckpt: not downloaded" in quick_cli("weights", "verify").stdout
    assert_refused(quick_cli("weights", "fetch", "inception-2015"), "6726825d.pth is missing", "SG2BENCH_OFFLINE")
    assert_refused(quick_cli("weights", "fetch", "vgg"), "no weights `vgg` (known: alexnet-lpips")
    (tmp_path / "lpips-alexnet.ckpt").write_bytes(b"other")
    assert_refused(quick_cli("weights", "verify"), "lpips-alexnet.ckpt: sha256 is", "expected 443c5bc3")


def test_own_images(cli, quick_cli, tmp_path):
    """Any folder of folders: drawn ones here, that a user's would look like."""
    assert quick_cli("data", "draw", "--out", "mine", "--experiment", SMOKE).returncode == 0
    settings = ["--set", "data.source=folder", "--set", "data.root=mine", "--set", "train.steps=2"]
    process = quick_cli("data", "fingerprint", SMOKE, *settings)
    assert process.returncode == 0
    assert len(process.stdout.strip()) == 16
    assert "bunny 24" in process.stderr
    process = cli("run", SMOKE, "--variant", "full", "--seed", 0, *settings)
    assert process.returncode == 0, process.stderr
    rows = row_table.read(tmp_path / "runs/smoke/full/seed-0/rows.csv")
    assert set(rows["data_fingerprint"]) == {quick_cli("data", "fingerprint", SMOKE, *settings).stdout.strip()}
    os.truncate(tmp_path / "mine/train/cat/00003.png", 200)
    assert_refused(
        quick_cli("ablate", SMOKE, *settings, "--runs", "new"), "mine/train/cat/00003.png: not a readable image"
    )
    assert not (tmp_path / "new").exists()


def test_ablate_refuses_an_unknown_protocol(quick_cli):
    assert_refused(quick_cli("ablate", SMOKE, "--protocol", "odd"), "--protocol odd: expected offline, standard, paper")
