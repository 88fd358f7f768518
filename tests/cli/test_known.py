"""A study that loses its machine, and one of several people: what is finished is not trained again."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sg2bench import api, experiments, rows
from sg2bench.runs import plan
from tests.cli.test_cli import assert_refused


@pytest.fixture
def study(tiny, tmp_path):
    """One variant, seeds 0 and 1."""
    one = tiny.model_copy(update={"variants": {"full": {}}, "seeds": (0, 1)})
    (tmp_path / "tiny.yaml").write_text(experiments.dump(one))


@pytest.fixture
def killed(study, tmp_path):
    """What was collected when the first of two runs had finished and all was killed."""
    command = [sys.executable, "-m", "sg2bench", "ablate", "tiny.yaml", "--runs", "lost", "--workers", "1"]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.DEVNULL, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    deadline = time.monotonic() + 120
    while not (tmp_path / "lost/tiny/grids/full-reference.png").exists():
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    shutil.copytree(tmp_path / "lost/tiny", tmp_path / "kept", ignore=lambda *_: ["full"])
    shutil.rmtree(tmp_path / "lost")
    return tmp_path / "kept"


def model_lines(file, seed):
    """The lines of a run in a table, as text."""
    return [line for line in file.read_text().splitlines() if line.startswith(f"tiny,full,{seed},")]


def test_a_study_goes_on_elsewhere(quick_cli, killed, tmp_path):
    assert {"results.csv", "curves.csv", "experiment.yaml", "grids"} <= {path.name for path in killed.iterdir()}
    assert set(rows.models(rows.read(killed / "results.csv"))["seed"]) == {0}
    process = quick_cli("ablate", "tiny.yaml", "--known", "kept/results.csv", "--runs", "new")
    assert process.returncode == 0, process.stderr
    assert "tiny: 2 runs, 1 to do, 1 known; logs in new/tiny" in process.stdout
    (line,) = (line for line in process.stdout.splitlines() if line.startswith("full/seed-0"))
    assert line.split() == ["full/seed-0", "known", "4/4", "–", "steps/s", "from", "kept/results.csv"]
    assert not (tmp_path / "new/tiny/full/seed-0").exists()
    report = tmp_path / "reports/tiny"
    assert model_lines(report / "results.csv", 0) == model_lines(killed / "results.csv", 0) != []
    assert len(model_lines(report / "results.csv", 1)) == len(model_lines(report / "results.csv", 0))
    assert (report / "curves.csv").read_text().startswith((killed / "curves.csv").read_text())
    assert (report / "grids/full-latent.png").read_bytes() == (killed / "grids/full-latent.png").read_bytes()

    before = [model_lines(report / "results.csv", seed) for seed in (0, 1)]
    curves = (report / "curves.csv").read_text()
    for known, of_them in ((["reports/tiny/results.csv"], curves), (split(report, tmp_path), "")):
        options = [option for path in known for option in ("--known", path)]
        process = quick_cli("ablate", "tiny.yaml", *options, "--runs", "third")
        assert process.returncode == 0, process.stderr
        assert "2 runs, 0 to do, 2 known" in process.stdout
        assert "warning" not in process.stderr
        assert [model_lines(report / "results.csv", seed) for seed in (0, 1)] == before
        assert ((report / "curves.csv").read_text() if of_them else "") == of_them
        assert not (tmp_path / "third/tiny/full").exists()
    assert not (report / "curves.csv").exists()  # the two files have none next to them


def test_known_rows_are_not_overwritten_by_fewer(in_process, study, tmp_path):
    assert in_process("ablate", "tiny.yaml").returncode == 0
    before = (tmp_path / "reports/tiny/results.csv").read_bytes()
    again = ("ablate", "tiny.yaml", "--known", "reports/tiny/results.csv", "--runs", "new", "--set")
    process = in_process(*again, "evaluate.metrics=[lpips]")
    assert_refused(process, "full/seed-0 has rows of other metrics, modes or steps, which would be overwritten")
    assert (tmp_path / "reports/tiny/results.csv").read_bytes() == before


def split(report, folder):
    """Two people's tables, a seed each, without what lies next to them."""
    table, names = rows.read(report / "results.csv"), []
    for seed in (0, 1):
        names.append(f"{seed}/rows.csv")
        (folder / str(seed)).mkdir()
        rows.write(table[rows.is_line(table) | (table["seed"] == seed)], folder / names[-1])
    return names


@pytest.mark.parametrize("finished", [True, False])
def test_an_interruption_says_where_the_rows_of_finished_runs_are(quick_cli, tiny, tmp_path, monkeypatch, finished):
    statuses = plan.plan(tiny, Path("runs"))
    if finished:
        (tmp_path / "runs/tiny").mkdir(parents=True)
        (tmp_path / "runs/tiny/results.csv").touch()

    def interrupted(*_, progress, **__):
        progress(statuses)
        raise KeyboardInterrupt

    monkeypatch.setattr(api, "ablate", interrupted)
    process = quick_cli("ablate")
    where = "; the rows of finished runs are in runs/tiny/results.csv" if finished else ""
    assert process.returncode == 130
    assert process.stderr.endswith(f"interrupted; the same command resumes from here{where}\n")


def test_known_rows_that_are_no_good_are_refused_before_training(quick_cli, study, tiny, tmp_path):
    (tmp_path / "bad.csv").write_text("a,b\n1,2\n")
    for known, message in (
        ("none.csv", "none.csv: no such file"),
        (".", ".: Is a directory"),
        ("bad.csv", "bad.csv: column experiment"),
    ):
        assert_refused(quick_cli("ablate", "tiny.yaml", "--known", known), message)
    (tmp_path / "curves.csv").write_text("step\n1\n")
    assert_refused(
        quick_cli("ablate", "tiny.yaml", "--known", "bad.csv"), "curves.csv: column seed, variant is missing"
    )
    assert not (tmp_path / "runs").exists()


def test_the_folders_of_report_runs_and_experiment_are_apart(quick_cli, study, tmp_path):
    assert_refused(quick_cli("ablate", "tiny.yaml", "--out", "runs/tiny"), "--out runs/tiny: is the folder of the runs")
    (tmp_path / "runs/tiny").mkdir(parents=True)
    (tmp_path / "tiny.yaml").rename(tmp_path / "runs/tiny/experiment.yaml")
    process = quick_cli("ablate", "runs/tiny/experiment.yaml")
    assert_refused(process, "--runs: runs/tiny/experiment.yaml would overwrite the experiment; name another folder")
