from __future__ import annotations

import io
import time
from pathlib import Path

from rich.console import Console

from sg2bench.runs import progress
from sg2bench.runs.job import Job
from sg2bench.runs.status import Status


def job(tiny, variant, seed):
    resolved = tiny.resolve(variant)
    train = resolved.train.model_copy(update={"steps": 100})
    return Job(variant, seed, resolved.model_copy(update={"train": train}), Path(), "f" * 16, "c" * 16, "e" * 16)


def running(tiny):
    now = time.monotonic()
    return [
        Status(job(tiny, "full", 0), state="running", started=now - 10, step=40),
        Status(job(tiny, "full", 1)),
        Status(job(tiny, "no_ds", 0), state="skipped", step=100),
    ]


def test_plain_lines_say_what_changed_and_no_more(tiny):
    statuses, out = running(tiny), io.StringIO()
    with progress.view(Console(file=out, width=120)) as view:
        view.show(statuses)
        view.show(statuses)
        statuses[0].state, statuses[0].step, statuses[0].seconds = "done", 100, 20.0
        view.show(statuses)
    lines = out.getvalue().splitlines()
    assert [line.split()[:3] for line in lines] == [
        ["full/seed-0", "running", "40/100"],
        ["no_ds/seed-0", "skipped", "100/100"],
        ["full/seed-0", "done", "100/100"],
    ]
    assert "4.00 steps/s  0:00:15" in lines[0]
    assert "5.00 steps/s" in lines[2]


def test_a_terminal_gets_a_table_of_all_runs(tiny):
    out = io.StringIO()
    with progress.view(Console(file=out, width=120, force_terminal=True)) as view:
        view.show(running(tiny))
    for part in ("full/seed-0", "running", "40/100", "4.0", "0:00:15", "waiting", "skipped", "ETA"):
        assert part in out.getvalue()


def test_a_run_that_has_trained_is_evaluating(tiny):
    status = Status(job(tiny, "full", 0), state="running", started=time.monotonic() - 10, step=100)
    assert "evaluating" in progress._cells(status)[1]


def test_rate_counts_the_steps_of_this_session_alone(tiny):
    status = Status(job(tiny, "full", 0), state="done", started=1.0, seconds=5.0, started_at_step=60, step=100)
    assert status.rate == 8


def test_of_very_many_runs_a_terminal_shows_those_that_run_or_failed_and_counts_the_others(tiny):
    statuses = [Status(job(tiny, "full", seed)) for seed in range(1000)]
    statuses[7].state, statuses[7].started = "running", time.monotonic()
    statuses[8].state = "failed"
    out = io.StringIO()
    with progress.view(Console(file=out, width=120, force_terminal=True)) as view:
        view.show(statuses)
    shown = out.getvalue()
    assert "full/seed-7" in shown
    assert "full/seed-8" in shown
    assert "full/seed-9" not in shown
    assert "1000 runs: 998 waiting, 1 running, 1 failed" in shown
