"""The composite action at the top level, its steps run as GitHub would run them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pandas as pd
import pytest
import yaml

from sg2bench import rows
from tests.tables import study

ROOT = Path(__file__).parent.parent
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
BASH = shutil.which("bash")


@pytest.fixture
def repository(tmp_path):
    """A git repository with a baseline, results that are as good, and results that are worse."""
    table = study(("full",), seeds=(0, 1, 2, 3, 4), domains=("cat", "dog"), metrics=["fd_alexnet"])
    rows.write(table, tmp_path / "baseline.csv")
    rows.write(table, tmp_path / "same.csv")
    rows.write(table.assign(value=2 * table["value"]), tmp_path / "worse.csv")
    git = ["git", "-C", tmp_path, "-c", "user.name=a", "-c", "user.email=a@b"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "baseline"]):
        subprocess.run([*git, *command], check=True)
    return tmp_path


@pytest.fixture
def use(repository):
    """Runs the action's check as a job that `uses` it with these inputs."""
    programs = repository / "bin"
    programs.mkdir()
    (programs / "sg2bench").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m sg2bench "$@"\n')
    (programs / "sg2bench").chmod(0o755)

    def run(**inputs):
        assert inputs.keys() <= ACTION["inputs"].keys()
        known = {name: entry.get("default", "") for name, entry in ACTION["inputs"].items()} | inputs
        (step,) = (step for step in ACTION["runs"]["steps"] if step.get("id") == "check")
        given = {
            name: re.sub(r"\$\{\{ inputs\.([\w-]+) \}\}", lambda found: known[found[1]], text)
            for name, text in step["env"].items()
        }
        github = {name: str(repository / name) for name in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT")}
        for file in github.values():
            Path(file).write_text("")
        outside = {name: value for name, value in os.environ.items() if not name.startswith(("GITHUB_", "PYTEST_"))}
        github |= {"GITHUB_ACTIONS": "true", "GITHUB_ACTION_PATH": str(ROOT), "COLUMNS": "200"}
        command = [BASH, "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]
        environment = outside | github | given | {"PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
        return subprocess.run(command, cwd=repository, env=environment, capture_output=True, text=True, check=False)

    if BASH is None:
        pytest.skip("no bash")
    return run


def test_every_input_is_used_and_every_default_is_text():
    text = (ROOT / "action.yml").read_text()
    for name, entry in ACTION["inputs"].items():
        assert f"inputs.{name} " in text
        assert isinstance(entry.get("default", ""), str)
        assert entry.get("required") or "default" in entry
    assert {step["shell"] for step in ACTION["runs"]["steps"]} == {"bash"}


def test_no_regression(use, repository):
    process = use(results="same.csv", baseline="baseline.csv", history="history.csv")
    assert process.returncode == 0, process.stderr
    assert "::error" not in process.stdout
    assert "No regression" in (repository / "GITHUB_STEP_SUMMARY").read_text()
    assert (repository / "GITHUB_OUTPUT").read_text() == "exit-code=0\n"
    assert ET.parse(repository / "gate.xml").getroot().get("failures") == "0"
    (line,) = pd.read_csv(repository / "history.csv").to_dict("records")
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=repository, capture_output=True, text=True, check=True)
    assert (line["verdict"], line["commit"]) == ("pass", head.stdout[:12])


def test_a_regression_fails_the_job_with_summary_and_annotations(use, repository):
    process = use(results="worse.csv", baseline="baseline.csv", junit="out/junit.xml")
    assert process.returncode == 1, process.stderr
    errors = [line for line in process.stdout.splitlines() if line.startswith("::error ")]
    assert len(errors) == 2 * 3
    assert "**Regression: 6 regression**" in (repository / "GITHUB_STEP_SUMMARY").read_text()
    assert (repository / "GITHUB_OUTPUT").read_text() == "exit-code=1\n"
    assert ET.parse(repository / "out/junit.xml").getroot().get("failures") == "6"


def test_margins_and_options_reach_the_command(use):
    assert use(results="worse.csv", baseline="baseline.csv", margins="fd_alexnet=3\n").returncode == 0
    assert use(results="worse.csv", baseline="baseline.csv", options="--exact 2").returncode == 0
    assert (
        use(results="worse.csv", baseline="baseline.csv", margins="fd_alexnet=3", options="--exact 2").returncode == 2
    )


def test_an_input_is_no_command(use, repository):
    process = use(results="same.csv; touch hacked", baseline="$(touch hacked)")
    assert process.returncode == 2
    assert not (repository / "hacked").exists()
