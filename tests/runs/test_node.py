"""What a node does with a job, and which executors and places are refused; no cluster is needed."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest

from sg2bench.runs import node
from sg2bench.runs.node import Task, perform_task
from sg2bench.version import __version__
from tests.cli.test_cli import SMOKE, assert_refused


def go(name, step):
    """Nothing is to stop."""
    return False


def command(script):
    return lambda folder, device: [sys.executable, "-c", script, str(folder), device]


@pytest.fixture
def task(tmp_path):
    (tmp_path / "config.yaml").write_bytes(b"name: x\n")
    return Task("full/seed-0", str(tmp_path), b"name: x\n", str(tmp_path), "cpu", __version__)


def test_a_job_in_a_folder_that_all_see(task, tmp_path):
    outcome = perform_task(task, command("open('digests.json', 'w').write('{}')"), go)
    assert (outcome.succeeded, outcome.reason, outcome.explanation) == (True, "", "")
    assert outcome.digest == node.digest_of(tmp_path) != ""
    assert (tmp_path / "run.log").read_text() == f"on node {outcome.node}\n"


def test_a_job_at_a_url(task, tmp_path):
    """It works in another folder, with what is there already, and leaves its files at the URL."""
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/checkpoint.pt").write_text("10")
    at_url = replace(task, place=f"file://{tmp_path}/kept")
    script = (
        "import pathlib, sys; here = pathlib.Path(sys.argv[1]); assert (here / 'checkpoint.pt').read_text() == '10'"
    )
    script += "; (here / 'rows.csv').write_text('rows')"
    assert perform_task(at_url, command(script), go).succeeded
    left = {path.name for path in (tmp_path / "kept").iterdir()}
    assert left == {"checkpoint.pt", "config.yaml", "rows.csv", "run.log"}
    assert not perform_task(at_url, command("raise SystemExit('no data')"), go).succeeded
    assert (tmp_path / "kept/run.log").read_text().endswith("no data\n")


def test_a_job_that_is_to_stop(task, tmp_path):
    """Its worker is asked to end, and what it then saves is kept."""
    (tmp_path / "kept").mkdir()
    script = (
        "import pathlib, signal, sys, time\n"
        "def end(*_): pathlib.Path(sys.argv[1], 'checkpoint.pt').touch(); sys.exit(143)\n"
        "signal.signal(signal.SIGTERM, end); pathlib.Path(sys.argv[1], 'train.csv').write_text('step,x\\n7,1\\n')\n"
        "time.sleep(60)"
    )
    at_url = replace(task, place=f"file://{tmp_path}/kept")
    assert not perform_task(at_url, command(script), lambda name, step: step == 7).succeeded
    assert (tmp_path / "kept/checkpoint.pt").exists()


def test_results_that_cannot_be_kept(task, tmp_path):
    (tmp_path / "kept").write_text("not a folder")
    outcome = perform_task(replace(task, place=f"file://{tmp_path}/kept/run"), command("print()"), go)
    assert not outcome.succeeded
    assert f"on node {outcome.node}: file://{tmp_path}/kept/run: " in outcome.explanation


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"version": "0.0.1"}, f"sg2bench {__version__} is installed there, but the command runs 0.0.1"),
        (
            {"config": b"name: y\n"},
            "config.yaml is not what the command wrote; --runs must be a folder that all nodes share",
        ),
        ({"place": "/nowhere"}, "/nowhere/config.yaml is not what the command wrote"),
        ({"place": "nope://runs"}, "nope://runs: Protocol not known: nope"),
    ],
)
def test_a_node_that_does_not_fit(task, changes, said):
    outcome = perform_task(replace(task, **changes), command("print()"), go)
    assert not outcome.succeeded
    assert said in outcome.explanation


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--executor", "slurm"], "--executor slurm: expected local or ray"),
        (["--address", "auto"], "--address auto: needs --executor ray"),
        (["--runs", "s3://bucket/runs"], "--runs s3://bucket/runs: a URL needs `ablate --executor ray`; give a folder"),
    ],
)
def test_options_that_do_not_fit(quick_cli, options, said):
    assert_refused(quick_cli("ablate", SMOKE, *options), said)


def test_ray_is_not_installed(quick_cli, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "sg2bench.runs.ray", raising=False)
    assert_refused(quick_cli("ablate", SMOKE, "--executor", "ray"), "pip install '.[ray]'")
