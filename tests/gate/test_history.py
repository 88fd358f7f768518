"""A line for each run of the gate."""

from __future__ import annotations

import subprocess
import threading
import xml.etree.ElementTree as ET

import numpy as np
import pandas as pd
import pytest

from sg2bench import gate, rows
from sg2bench.gate import history, output
from tests.tables import study


def compared(tmp_path, factor, **options):
    table = study(("full",), seeds=(0, 1, 2, 3, 4), domains=("cat", "dog"), metrics=["fd_alexnet"])
    rows.write(table, tmp_path / "old.csv")
    rows.write(table.assign(value=factor * table["value"]), tmp_path / "new.csv")
    return gate.compare(tmp_path / "new.csv", tmp_path / "old.csv", gate.margins({"fd_alexnet": 0.1}))


def test_a_line_a_run_with_the_worst_in_margins(tmp_path, monkeypatch):
    file = tmp_path / "gate.csv"
    for sha, factor in (("a" * 40, 1.0), ("b" * 40, 1.5), ("c" * 40, 1.05)):
        monkeypatch.setenv("GITHUB_SHA", sha)
        assert history.append(compared(tmp_path, factor), file) == tmp_path / "gate.svg"
    found = history.read(file)
    assert found["commit"].tolist() == ["a" * 12, "b" * 12, "c" * 12]
    assert found["verdict"].tolist() == ["pass", "regression", "pass"]
    assert found["times_margin"].astype(float).tolist() == pytest.approx([0, 5, 0.5], abs=1e-3)
    assert found[["pass", "regression"]].to_numpy().tolist() == [["6", "0"], ["0", "6"], ["6", "0"]]
    assert found["worst"][1].startswith("full / ")
    assert found["worst"][1].count("+50.0%") == 3
    text = (tmp_path / "gate.svg").read_text()
    ET.fromstring(text)
    for word in ("aaaaaaa", "bbbbbbb", "regression", "worst change"):
        assert word in text


def test_a_commit_is_one_that_the_history_takes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for sha in ("refs/heads/x", "A" * 40, "", "ab"):
        monkeypatch.setenv("GITHUB_SHA", sha)
        history.append(compared(tmp_path, 1.0), tmp_path / "gate.csv")
    assert history.read(tmp_path / "gate.csv")["commit"].tolist() == [""] * 4


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"worse_by": 0.2, "margin": 5.0, "baseline": 50.0, "absolute": False}, 2),
        ({"worse_by": 0.1, "margin": 0.05, "baseline": 0.9, "absolute": True}, 2),
        ({"worse_by": -0.1, "margin": 5.0, "baseline": 50.0}, -1),
        ({"worse_by": 0.1, "margin": 0.0, "baseline": 50.0}, np.inf),
        ({"worse_by": 0.0, "margin": 0.0, "baseline": 50.0}, 0),
    ],
)
def test_worsening_in_margins(row, expected):
    assert output.times_margin(row) == pytest.approx(expected)


def test_verdicts_on_throughput_have_no_margin(tmp_path):
    line = {"device": "cpu", "batch_size": 1, "baseline": 10.0, "value": 9.0, "worse_by": 0.1, "verdict": "pass"}
    history.append(pd.DataFrame([line]), tmp_path / "bench.csv")
    assert history.read(tmp_path / "bench.csv")["times_margin"].tolist() == [""]


def test_an_exact_comparison_counts_every_change_that_it_refuses(tmp_path):
    line = {"baseline": 10.0, "margin": 0.1, "verdict": "regression", "variant": "full"}
    table = pd.DataFrame([line | {"value": 5.0, "worse_by": -0.5}, line | {"value": 10.2, "worse_by": 0.02}])
    history.append(table, tmp_path / "gate.csv")
    (found,) = history.read(tmp_path / "gate.csv").to_dict("records")
    assert found["times_margin"] == "50"
    assert found["worst"].startswith("full -50.0%")


def test_no_line_is_lost_when_several_append(tmp_path):
    table = compared(tmp_path, 1.0)
    threads = [threading.Thread(target=history.append, args=(table, tmp_path / "gate.csv")) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(history.read(tmp_path / "gate.csv")) == 4


def test_a_file_that_is_no_history_is_left_alone(tmp_path):
    file = tmp_path / "mine.csv"
    file.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="column time, .* is missing; give a file that sg2bench check --history wrote"):
        history.append(compared(tmp_path, 1.0), file)
    assert file.read_text() == "a,b\n1,2\n"
    with pytest.raises(ValueError, match="its plot would be the same file"):
        history.append(compared(tmp_path, 1.0), tmp_path / "gate.svg")


def test_the_commit_is_of_the_folder_or_none(tmp_path, monkeypatch):
    monkeypatch.delenv("GITHUB_SHA", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert history.commit() == ""
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "x"]):
        subprocess.run([*git, *command], check=True)
    assert len(history.commit()) == 12


def test_the_command_appends_and_does_not_overwrite_its_input(quick_cli, tmp_path):
    compared(tmp_path, 1.0)
    command = ("check", "new.csv", "--baseline", "old.csv")
    process = quick_cli(*command, "--history", "gate.csv")
    assert process.returncode == 0, process.stderr
    assert "History: gate.csv, gate.svg" in process.stdout
    assert quick_cli(*command, "--history", "gate.csv").returncode == 0
    assert len(history.read(tmp_path / "gate.csv")) == 2
    process = quick_cli(*command, "--history", "old.csv")
    assert process.returncode == 2
    assert "would be overwritten" in process.stderr
