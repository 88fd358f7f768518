"""Runs that are killed, signalled, out of disk space or not alone: the same command ends with the same bits."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from sg2bench import rows
from sg2bench.layout import ROWS, ema_file
from sg2bench.models import checkpoints
from tests.attack.base import Outcome

_STEPS = 40
EXPERIMENT = f"""
name: cut
data: {{train_per_domain: 8, val_per_domain: 4, domains: [cat, dog]}}
model: {{image_size: 32, first_width: 4, max_width: 8, style_dim: 5, latent_dim: 3, mapping_width: 8}}
train: {{steps: {_STEPS}, batch_size: 2, log_every: 1, save_every: 3, evaluate_every: 20}}
evaluate: {{resize: 64, outputs_per_source: 2}}
variants: {{full: {{}}, no_ds: {{loss.ds: 0}}}}
"""


class Study:
    """A small experiment in a folder, and what it gives when nothing interrupts it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "cut.yaml").write_text(EXPERIMENT)
        assert self.start("whole").wait() == 0, (folder / "whole.log").read_text()
        self.whole = self.result("whole")

    def start(self, name: str, limit_bytes: int | None = None) -> subprocess.Popen[bytes]:
        """Start the command, its runs in the folder `name`; files of more than `limit_bytes` cannot be written."""

        def prepare() -> None:
            signal.signal(signal.SIGINT, signal.default_int_handler)
            if limit_bytes is not None:
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))

        where = ["--runs", name, "--out", f"{name}-report", "--device", "cpu", "--workers", "1"]
        log = (self.folder / f"{name}.log").open("ab")
        return subprocess.Popen(
            [sys.executable, "-m", "sg2bench", "ablate", "cut.yaml", *where],
            cwd=self.folder,
            stdout=log,
            stderr=log,
            preexec_fn=prepare,  # noqa: PLW1509 (no threads here)
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )

    def result(self, name: str) -> list[object]:
        """Values and networks of all runs."""
        found: list[object] = []
        for variant in ("full", "no_ds"):
            run = self.folder / name / "cut" / variant / "seed-0"
            found.append(rows.read(run / ROWS)["value"].tolist())
            found.append((run / "train.csv").read_text())
            networks = checkpoints.read(run / ema_file(_STEPS))
            found.append({name: {k: v.tolist() for k, v in state.items()} for name, state in networks.items()})
        return found

    def finish(self, name: str) -> str:
        """Let the command end without interruption; what differs from a run that never was interrupted."""
        code = self.start(name).wait()
        if code:
            return f"exit code {code} after the interruption: {(self.folder / f'{name}.log').read_text()[-300:]}"
        return "" if self.result(name) == self.whole else "other bits than without interruption"


def kills(study: Study, tries: int, rng: random.Random) -> Outcome:
    """SIGKILL at random moments, of the command or of its worker."""
    return _interrupted(study, Outcome("SIGKILL"), tries, rng, _kill)


def signals(study: Study, tries: int, rng: random.Random) -> Outcome:
    """SIGTERM and SIGINT at random moments: exit code 143 or 130, and nothing goes on."""
    return _interrupted(study, Outcome("SIGTERM, SIGINT"), tries, rng, _signal)


def _interrupted(
    study: Study,
    outcome: Outcome,
    tries: int,
    rng: random.Random,
    interrupt: Callable[[subprocess.Popen[bytes], random.Random], str],
) -> Outcome:
    number = 0
    while outcome.tries < tries:
        name, number = f"{outcome.kind.split(',')[0].lower()}-{number}", number + 1
        for _ in range(4):  # of one study
            process = study.start(name)
            time.sleep(rng.uniform(1, 9))
            if process.poll() is not None:
                break
            outcome.tries += 1
            if problem := interrupt(process, rng):
                outcome.failures.append(problem)
        if problem := study.finish(name):
            outcome.failures.append(problem)
        shutil.rmtree(study.folder / name)
    return outcome


def _kill(process: subprocess.Popen[bytes], rng: random.Random) -> str:
    workers = _children(process.pid)
    if workers and rng.random() < 0.5:
        os.kill(workers[0], signal.SIGKILL)
        process.wait()
        return ""
    process.kill()
    process.wait()
    return _left_running(workers)


def _signal(process: subprocess.Popen[bytes], rng: random.Random) -> str:
    workers = _children(process.pid)
    number = rng.choice((signal.SIGTERM, signal.SIGINT))
    process.send_signal(number)
    code = process.wait()
    if code not in (128 + number, -number):  # the latter while Python itself starts
        return f"{number.name}: exit code {code}"
    return _left_running(workers)


def _children(pid: int) -> list[int]:
    listed = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    return [int(line) for line in listed.stdout.split()]


def _left_running(workers: list[int]) -> str:
    deadline = time.monotonic() + 15
    while any(Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_bytes() for pid in workers):
        if time.monotonic() > deadline:
            return "a worker outlives its parent"
        time.sleep(0.1)
    return ""


def full_disks(study: Study, tries: int, rng: random.Random) -> Outcome:
    """No file can grow beyond a limit: the command fails by a line that names the file, and loses nothing."""
    outcome = Outcome("disk full")
    for number in range(tries):
        name = f"disk-{number}"
        outcome.tries += 1
        code = study.start(name, rng.choice((3_000, 20_000, 60_000, 200_000))).wait()
        text = (study.folder / f"{name}.log").read_text()
        if code not in (0, 1, 2) or "Traceback" in text:
            outcome.failures.append(f"exit code {code}: {text[-300:]}")
        if problem := study.finish(name):
            outcome.failures.append(problem)
    return outcome


def two_at_once(study: Study, tries: int, rng: random.Random) -> Outcome:
    """The same command twice: one performs the runs, the other is refused or finds them done."""
    outcome = Outcome("two at once")
    for number in range(tries):
        name = f"two-{number}"
        outcome.tries += 1
        first = study.start(name)
        time.sleep(rng.uniform(0, 8))
        second = study.start(name)
        codes = sorted((first.wait(), second.wait()))
        if codes not in ([0, 0], [0, 2]):
            outcome.failures.append(f"exit codes {codes}: {(study.folder / f'{name}.log').read_text()[-300:]}")
        if study.result(name) != study.whole:
            outcome.failures.append("other bits than alone")
    return outcome


def leaderboards(study: Study, tries: int, rng: random.Random) -> Outcome:
    """Several processes add rows at the same time: none is lost."""
    outcome = Outcome("rows added at once")
    table = rows.read(study.folder / "whole-report/results.csv")
    for number in range(tries):
        out, processes = study.folder / f"board-{number}", []
        for part in range(4):
            path = study.folder / f"rows-{number}-{part}.csv"
            rows.write(table.assign(experiment=f"cut-{part}"), path)
            command = [sys.executable, "-m", "sg2bench", "leaderboard", "add", str(path), "--out", str(out)]
            processes.append(subprocess.Popen([*command, "--command", "x"], stdout=subprocess.DEVNULL))
        outcome.tries += 1
        codes = [process.wait() for process in processes]
        kept = set(pd.read_csv(out / "leaderboard.csv")["experiment"])
        if any(codes) or len(kept) != 4:
            outcome.failures.append(f"exit codes {codes}, rows of {len(kept)} of 4 files")
    return outcome
