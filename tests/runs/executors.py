"""The contract of executors: `Contract`, which the tests of each one inherit."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from sg2bench.runs import job as jobs
from sg2bench.runs.job import Job
from sg2bench.runs.status import Status


@pytest.fixture
def statuses(tiny, tmp_path):
    def make(count=4):
        found = [
            Job("full", seed, tiny.resolve("full"), tmp_path / f"tiny/full/seed-{seed}", "f" * 16, "c" * 16, "e" * 16)
            for seed in range(count)
        ]
        for job in found:
            jobs.write(job)
        return [Status(job) for job in found]

    return make


def perform(executor, statuses):
    """Perform all; returns how many ran at the same time, at most."""
    return max(sum(status.state == "running" for status in statuses) for _ in executor.perform(statuses))


class Contract:
    """A fixture `make` of the class that inherits this takes a script and returns the executor, of two runs at the same
    time, that performs it in the place of jobs; the run's folder and the device are its arguments.
    """

    def test_a_failed_run_takes_no_other_down(self, make, statuses):
        planned = statuses()
        perform(make("import sys; print('hello'); sys.exit('seed-1' in sys.argv[1])"), planned)
        assert [status.state for status in planned] == ["done", "failed", "done", "done"]
        assert (planned[1].job.folder / "run.log").read_text().endswith("hello\n")
        assert planned[1].reason == ""

    def test_a_run_that_cannot_be_started_takes_no_other_down(self, make, statuses):
        """Its log is a folder."""
        planned = statuses(2)
        (planned[0].job.folder / "run.log").mkdir()
        perform(make("print()"), planned)
        assert [status.state for status in planned] == ["failed", "done"]
        assert "Is a directory" in planned[0].failure

    def test_two_at_the_same_time(self, make, statuses):
        planned = statuses()
        assert perform(make("import time; time.sleep(3)"), planned) == 2
        assert [status.state for status in planned] == ["done"] * 4

    def test_finished_runs_are_not_performed(self, make, statuses):
        planned = statuses(2)
        planned[0].state = "skipped"
        perform(make("print()"), planned)
        assert [status.state for status in planned] == ["skipped", "done"]
        assert not (planned[0].job.folder / "run.log").exists()

    def test_closing_stops_the_runs(self, make, statuses):
        """They are asked to end, and waited for: nothing writes into their folders afterwards."""
        planned = statuses()
        script = (
            "import pathlib, signal, sys, time; ended = pathlib.Path(sys.argv[1], 'ended')\n"
            "def end(*_): ended.touch(); sys.exit()\n"
            "signal.signal(signal.SIGTERM, end); pathlib.Path(sys.argv[1], 'began').touch(); time.sleep(60)"
        )
        performing = make(script).perform(planned)
        for _ in performing:
            if sum((status.job.folder / "began").exists() for status in planned) == 2:
                break
        start = time.monotonic()
        performing.close()
        assert time.monotonic() - start < 30
        assert [status.state for status in planned] == ["waiting"] * 4
        assert sum((status.job.folder / "ended").exists() for status in planned) == 2

    def test_the_step_is_known_while_a_run_is_performed(self, make, statuses):
        (status,) = statuses(1)
        log = status.job.folder / "train.csv"
        script = f"import pathlib, time; pathlib.Path({str(log)!r}).write_text('step,x\\n7,1\\n'); time.sleep(6)"
        seen = [status.step for _ in make(script).perform([status]) if status.state == "running"]
        assert 7 in seen

    def test_a_worker_writes_any_character_to_its_log(self, make, statuses, monkeypatch):
        monkeypatch.setenv("PYTHONIOENCODING", "cp1252")
        (status,) = statuses(1)
        perform(make("print('cat → dog')"), [status])
        assert status.state == "done"
        assert (status.job.folder / "run.log").read_text(encoding="utf-8").endswith("cat → dog\n")

    def test_relative_paths_are_of_the_command_s_folder(self, make, statuses, monkeypatch, tmp_path):
        """`data.root`, say."""
        monkeypatch.chdir(tmp_path)
        (status,) = statuses(1)
        perform(make("open('here', 'w')"), [status])
        assert Path(tmp_path, "here").exists()
