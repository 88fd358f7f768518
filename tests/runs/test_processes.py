"""One run over several processes, as torchrun and the executor start them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import yaml

from sg2bench.runs import plan
from sg2bench.runs.local import LocalExecutor

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "sg2bench"]
RUN = ["run", "tiny.yaml", "--variant", "full", "--seed", "0", "--device", "cpu"]
FOLDER = Path("runs/tiny/full/seed-0")


@pytest.fixture
def torchrun(tiny, tmp_path, monkeypatch):
    """Starts `torchrun … -m sg2bench ARGUMENTS` in a folder with an experiment, in the background."""
    monkeypatch.chdir(tmp_path)
    settings = tiny.model_dump(mode="json")
    settings["train"] |= {"steps": 24, "save_every": 5, "evaluate_at": [12]}
    settings["evaluate"] |= {"sources": 5}
    Path("tiny.yaml").write_text(yaml.safe_dump(settings))
    outside = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}

    started = []

    def start(*arguments):
        environment = outside | {"OMP_NUM_THREADS": "1"}
        with Path("output.txt").open("w") as log:
            command = [*TORCHRUN, *arguments]
            started.append(subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def children(process):
    """The processes that torchrun started, by rank."""
    found = {}
    for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        found |= {int(entry.removeprefix(b"RANK=")): int(pid) for entry in environment if entry.startswith(b"RANK=")}
    return found


def lines(path):
    return path.read_text().splitlines() if path.is_file() else []


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_killed_process_ends_the_others_and_the_same_command_resumes_to_rows_like_those_of_one(torchrun, quick_cli):
    process, deadline = torchrun(*RUN), time.monotonic() + 300
    while len(lines(FOLDER / "train.csv")) < 9:
        assert process.poll() is None, Path("output.txt").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    ranks = children(process)
    os.kill(ranks[1], signal.SIGKILL)
    assert process.wait(28) == 1  # torchrun kills after 30 seconds what has not ended
    assert not Path(f"/proc/{ranks[0]}").exists()
    assert not (FOLDER / "rows.csv").exists()

    assert torchrun(*RUN).wait(300) == 0, Path("output.txt").read_text()
    assert [line.split(",")[0] for line in lines(FOLDER / "train.csv")[1:]] == [str(step) for step in range(1, 25)]
    announced = [line for line in lines(Path("output.txt")) if line.startswith("evaluating ")]
    assert len(set(announced)) == len(announced) >= 4 * 12  # each pair and mode of each step and part, once
    by_two = pd.read_csv(FOLDER / "rows.csv")
    (FOLDER / "rows.csv").unlink()
    assert quick_cli(*RUN).returncode == 0
    by_one = pd.read_csv(FOLDER / "rows.csv")
    pd.testing.assert_frame_equal(
        by_two.drop(columns="created_at"), by_one.drop(columns="created_at"), check_exact=True
    )


def performed(tiny, runs, devices, **train):
    """The status of a run of the experiment that an executor has performed."""
    changed = tiny.model_copy(update={"train": tiny.train.model_copy(update=train), "variants": {"full": {}}})
    statuses = plan.plan(changed, runs)
    plan.write(statuses)
    for _ in LocalExecutor([devices]).perform(statuses):
        pass
    return statuses[0]


def test_a_worker_of_several_devices_has_a_process_for_each(tiny, tmp_path):
    status = performed(tiny, tmp_path, "cpu,cpu")
    assert status.state == "done", (status.job.folder / "run.log").read_text()
    assert len(lines(status.job.folder / "train.csv")) == 5
    assert (status.job.folder / "rows.csv").is_file()


def test_why_such_a_worker_fails_ends_its_log(tiny, tmp_path):
    status = performed(tiny, tmp_path, "cpu,cpu", batch_size=3)
    assert status.state == "failed"
    log = lines(status.job.folder / "run.log")
    assert [
        line for line in log[-3:] if line.startswith("sg2bench: train.batch_size: 3 images cannot be shared equally")
    ]
    assert "Traceback" not in "".join(log)


@pytest.mark.parametrize("command", ["ablate", "evaluate", "report"])
def test_other_commands_are_refused_under_torchrun(quick_cli, monkeypatch, command):
    monkeypatch.setenv("WORLD_SIZE", "2")
    finished = quick_cli(command, "smoke", *["smoke"] * (command == "evaluate"))
    assert finished.returncode == 2
    assert f"sg2bench {command} uses one process; torchrun is for `sg2bench run`" in finished.stderr
    assert "--workers" in finished.stderr
