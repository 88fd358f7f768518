from __future__ import annotations

import sys
import time

import pytest
import torch

from sg2bench import launch
from sg2bench.launch import Run


def python(script):
    """A stand-in for the command of a run; the run's name and the device are its arguments."""
    return lambda run: [sys.executable, "-c", script, run.name]


def runs(tmp_path, count=4):
    return [Run("full", seed, tmp_path / f"seed-{seed}", steps=3) for seed in range(count)]


def test_a_failed_run_takes_no_other_down(tmp_path):
    planned = runs(tmp_path)
    script = "import sys; print('hello'); sys.exit('seed-1' in sys.argv[1])"
    launch.launch(planned, python(script), ["cpu", "cpu"], lambda: None)
    assert [run.state for run in planned] == ["done", "failed", "done", "done"]
    assert (planned[1].folder / "run.log").read_text() == "hello\n"


def test_runs_share_the_slots(tmp_path):
    """Two slots: never more than two at once, and each device serves."""
    planned = runs(tmp_path)
    most, devices = [], set()
    script = "import sys, time; time.sleep(0.5); open(sys.argv[1].split('/')[1] + '.txt', 'w').write(sys.argv[3])"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        launch.launch(
            planned,
            python(script),
            ["cuda:0", "cuda:1"],
            lambda: most.append(sum(run.state == "running" for run in planned)),
        )
    devices = {path.read_text() for path in tmp_path.glob("*.txt")}
    assert max(most) == 2
    assert devices == {"cuda:0", "cuda:1"}


def test_finished_runs_are_not_performed(tmp_path):
    planned = runs(tmp_path, 2)
    planned[0].state = "skipped"
    launch.launch(planned, python("pass"), ["cpu"], lambda: None)
    assert [run.state for run in planned] == ["skipped", "done"]
    assert not planned[0].folder.exists()


def test_step_is_read_from_whole_lines_of_the_log(tmp_path):
    assert launch._last_step(tmp_path) == 0
    (tmp_path / "train.csv").write_text("step,x\n10,1.0\n20,1.0\n3")
    assert launch._last_step(tmp_path) == 20


def test_a_resumed_run_counts_from_its_checkpoint(tmp_path):
    """The log may be ahead of the checkpoint: it is cut back when the run goes on."""
    (run,) = runs(tmp_path, 1)
    run.folder.mkdir()
    run.state, run.started, run.seconds, run.started_at_step = "running", 1.0, 10.0, 190
    (run.folder / "train.csv").write_text("step,x\n100,1\n")
    launch._update([run])
    assert run.rate == 0
    (run.folder / "train.csv").write_text("step,x\n100,1\n120,1\n")
    launch._update([run])
    assert run.rate == 2


def test_an_error_while_watching_stops_the_runs(tmp_path):
    planned = runs(tmp_path)

    def broken():
        raise BrokenPipeError

    start = time.monotonic()
    with pytest.raises(BrokenPipeError):
        launch.launch(planned, python("import time; time.sleep(60)"), ["cpu"], broken)
    assert time.monotonic() - start < 20


def test_slots():
    assert launch.slots("cpu", 3) == ["cpu"] * 3
    assert len(launch.slots("cpu", None)) >= 1
    if not torch.cuda.is_available():
        assert launch.slots("auto", 2) == ["cpu", "cpu"]
        with pytest.raises(ValueError, match="torch sees no CUDA device; use --device cpu"):
            launch.slots("cuda", None)
