"""Exit code 1 says that there is a regression or a failed run, and nothing else says so."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sg2bench import api, rows
from tests.cli.test_cli import SMOKE


@pytest.mark.parametrize(
    "error", [KeyError("x\ny"), RuntimeError("[/x]"), MemoryError(), EOFError("cut"), RecursionError()]
)
def test_an_error_of_ours_is_no_regression(quick_cli, monkeypatch, error):
    def defective(*_, **__):
        raise error

    monkeypatch.setattr(api, "check", defective)
    process = quick_cli("check", "a.csv", "--baseline", "b.csv")
    assert process.returncode == 70
    assert process.stderr.startswith("sg2bench: internal error: ")
    assert process.stderr.count("\n") == 1
    report = Path(re.search(r"report it with the command and (\S+)", process.stderr)[1])
    assert "Traceback" in report.read_text()
    report.unlink()


def test_no_reader_is_no_regression():
    """As in `sg2bench … | head`."""
    program = [sys.executable, "-m", "sg2bench", "experiments"]
    process = subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    process.stderr.close()
    assert process.wait() in (0, 141)


@pytest.mark.parametrize("arguments", [["--help"], ["check", "--help"]])
def test_help_without_a_reader_is_no_regression(arguments):
    process = subprocess.Popen([sys.executable, "-m", "sg2bench", *arguments], stdout=subprocess.PIPE)
    process.stdout.close()
    assert process.wait() == 141


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_an_error_that_cannot_be_printed_is_no_regression():
    program = [sys.executable, "-m", "sg2bench", "check", "none.csv", "--baseline", "none.csv"]
    with Path("/dev/full").open("w") as full:
        assert subprocess.run(program, stderr=full, check=False).returncode == 2


def test_a_terminated_command_stops_its_runs_and_goes_on(tmp_path):
    settings = ["--set", "train.steps=400", "--set", "train.log_every=1", "--set", "variants={full: {}}"]
    command = [
        sys.executable,
        "-m",
        "sg2bench",
        "ablate",
        str(SMOKE),
        *settings,
        "--set",
        "seeds=[0]",
        "--workers",
        "1",
    ]
    process = subprocess.Popen(
        command, cwd=tmp_path, env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL
    )
    folder = tmp_path / "runs/smoke/full/seed-0"
    deadline = time.monotonic() + 120
    while not (folder / "train.csv").is_file():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 143
    assert (folder / "checkpoint.pt").is_file()
    assert "the same command resumes from here" in (folder / "run.log").read_text()


def test_an_experiment_that_is_edited_while_it_runs_changes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = SMOKE.read_text().replace("steps: 12", "steps: 2")
    Path("edited.yaml").write_text(text)

    def edit(statuses):
        if any(status.state == "running" for status in statuses):
            Path("edited.yaml").write_text(text.replace("batch_size: 4", "batch_size: 4\n  learning_rate: 0.5"))

    only = {"variants": {"full": {}}, "seeds": [0, 1], "evaluate.metrics": ["lpips"]}
    table = api.ablate("edited.yaml", settings=only, workers=1, device="cpu", progress=edit)
    assert "0.5" in Path("edited.yaml").read_text()
    assert rows.models(table)["config_hash"].nunique() == 1
    assert set(rows.models(table)["seed"]) == {0, 1}
