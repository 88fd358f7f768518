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
from sg2bench.runs.local import LocalExecutor, worker_command
from sg2bench.runs.status import last_step
from tests.runs.executors import Contract, perform, statuses

__all__ = ["statuses"]


def executor(devices, script):
    """Performs a script in the place of jobs; the job's folder and the device are its arguments."""
    return LocalExecutor(devices, lambda folder, device: [sys.executable, "-c", script, str(folder), device])


class TestLocal(Contract):
    @pytest.fixture
    def make(self):
        return lambda script: executor(["cpu", "cpu"], script)


def test_a_run_for_which_there_is_no_process_takes_no_other_down(statuses, monkeypatch):
    """The system starts no more just then."""
    planned = statuses()

    def start(command, before=subprocess.Popen, **options):
        if str(planned[2].job.folder) in command:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return before(command, **options)

    monkeypatch.setattr(subprocess, "Popen", start)
    perform(executor(["cpu", "cpu"], "print()"), planned)
    assert [status.state for status in planned] == ["done", "done", "failed", "done"]
    assert "full/seed-2 failed: it could not be started: " in planned[2].failure
    assert "Resource temporarily unavailable" in planned[2].failure
    assert str(FailedRunsError(planned[1:3])) == f"{planned[1].failure}, {planned[2].failure}"


def test_each_device_serves(statuses, tmp_path):
    script = "import sys, time; time.sleep(0.5); open(sys.argv[1] + '.txt', 'w').write(sys.argv[2])"
    assert perform(executor(["cuda:0", "cuda:1"], script), statuses()) == 2
    assert {path.read_text() for path in tmp_path.rglob("seed-*.txt")} == {"cuda:0", "cuda:1"}


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
    command = worker_command(tmp_path / "job", "cpu")
    process = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert process.returncode == 2
    assert "not the configuration of a run" in process.stderr
    assert not (tmp_path / "RAN").exists()
    assert [path.name for path in (tmp_path / "job").iterdir()] == ["config.yaml"]
