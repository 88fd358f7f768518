"""The contract of executors, held by the one of local processes."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sg2bench.api import FailedRunsError
from sg2bench.files import atomic_file
from sg2bench.runs.job import Job
from sg2bench.runs.local import LocalExecutor
from sg2bench.runs.status import Status, last_step


@pytest.fixture
def statuses(tiny, tmp_path):
    def make(count=4):
        jobs = [
            Job("full", seed, tiny.resolve("full"), tmp_path / f"seed-{seed}", "f" * 16, "c" * 16, "e" * 16)
            for seed in range(count)
        ]
        for job in jobs:
            job.folder.mkdir()
        return [Status(job) for job in jobs]

    return make


def executor(devices, script):
    """Performs a script in the place of jobs; the job's name and the device are its arguments."""
    return LocalExecutor(devices, lambda job, device: [sys.executable, "-c", script, job.name, device])


def perform(chosen, statuses):
    for _ in chosen.perform(statuses):
        pass


def test_a_failed_run_takes_no_other_down(statuses):
    planned = statuses()
    perform(executor(["cpu", "cpu"], "import sys; print('hello'); sys.exit('seed-1' in sys.argv[1])"), planned)
    assert [status.state for status in planned] == ["done", "failed", "done", "done"]
    assert (planned[1].job.folder / "run.log").read_text() == "hello\n"


def test_a_run_that_cannot_be_started_takes_no_other_down(statuses, monkeypatch):
    """Its log is a folder, or the system starts no more processes just then."""
    planned = statuses()
    (planned[1].job.folder / "run.log").mkdir()

    def start(command, before=subprocess.Popen, **options):
        if "full/seed-2" in command:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return before(command, **options)

    monkeypatch.setattr(subprocess, "Popen", start)
    perform(executor(["cpu", "cpu"], "print()"), planned)
    assert [status.state for status in planned] == ["done", "failed", "failed", "done"]
    assert "full/seed-1 failed, it could not be started: " in planned[1].failure
    assert "Is a directory" in planned[1].failure
    assert "Resource temporarily unavailable" in planned[2].failure
    assert str(FailedRunsError(planned[1:3])) == f"{planned[1].failure}, {planned[2].failure}"


def test_runs_share_the_devices(statuses, tmp_path, monkeypatch):
    """Two devices: never more than two runs at the same time, and each device serves."""
    monkeypatch.chdir(tmp_path)
    planned, most = statuses(), 0
    script = "import sys, time; time.sleep(0.5); open(sys.argv[1].split('/')[1] + '.txt', 'w').write(sys.argv[2])"
    for _ in executor(["cuda:0", "cuda:1"], script).perform(planned):
        most = max(most, sum(status.state == "running" for status in planned))
    assert most == 2
    assert {path.read_text() for path in tmp_path.glob("*.txt")} == {"cuda:0", "cuda:1"}


def test_finished_runs_are_not_performed(statuses):
    planned = statuses(2)
    planned[0].state = "skipped"
    perform(executor(["cpu"], "print()"), planned)
    assert [status.state for status in planned] == ["skipped", "done"]
    assert not (planned[0].job.folder / "run.log").exists()


def test_step_is_read_from_whole_lines_of_the_log(tmp_path):
    assert last_step(tmp_path) == 0
    (tmp_path / "train.csv").write_text("step,x\n10,1.0\n20,1.0\n3")
    assert last_step(tmp_path) == 20


def test_a_resumed_run_counts_from_its_checkpoint(statuses):
    """The log may be ahead of the checkpoint: it is cut back when the run goes on."""
    (status,) = statuses(1)
    status.state, status.started, status.seconds, status.started_at_step = "running", 1.0, 10.0, 190
    log = status.job.folder / "train.csv"
    for lines, rate in (("step,x\n100,1\n", 0), ("step,x\n100,1\n120,1\n", 2)):
        log.write_text(lines)
        status.look()
        assert status.rate == rate


def test_closing_stops_the_runs(statuses):
    planned = statuses()
    generator = executor(["cpu"], "import time; time.sleep(60)").perform(planned)
    next(generator)
    start = time.monotonic()
    generator.close()
    assert time.monotonic() - start < 20
    assert [status.state for status in planned] == ["waiting"] * 4


def test_a_worker_writes_any_character_to_its_log(statuses, monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", "cp1252")
    (status,) = statuses(1)
    perform(executor(["cpu"], "print('cat → dog')"), [status])
    assert status.state == "done"
    assert (status.job.folder / "run.log").read_text(encoding="utf-8") == "cat → dog\n"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it takes a second")
def test_a_worker_ends_with_its_parent(tmp_path):
    child = "from sg2bench.runs.worker import end_with_parent; end_with_parent(); import time; time.sleep(60)"
    parent = (
        f"import subprocess, sys, time; p = subprocess.Popen([sys.executable, '-c', {child!r}]);"
        "time.sleep(1); print(p.pid, flush=True); time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True)
    pid = int(process.stdout.readline())
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}/status").exists() and "Z (zombie)" not in Path(f"/proc/{pid}/status").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_modules_of_the_working_folder_are_not_imported(tmp_path):
    """A `colorsys.py` there would otherwise run in every worker."""
    (tmp_path / "colorsys.py").write_text("open('RAN', 'w')")
    with atomic_file(tmp_path / "job/config.yaml") as temporary:
        temporary.write_text("name: x\n")
    from sg2bench.runs.local import worker_command

    job = Job("full", 0, None, tmp_path / "job", "", "", "")
    process = subprocess.run(worker_command(job, "cpu"), cwd=tmp_path, capture_output=True, text=True, check=False)
    assert process.returncode == 2
    assert "not the configuration of a run" in process.stderr
    assert not (tmp_path / "RAN").exists()
    assert [path.name for path in (tmp_path / "job").iterdir()] == ["config.yaml"]
