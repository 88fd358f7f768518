from __future__ import annotations

import io
import time
from pathlib import Path

from rich.console import Console

from sg2bench import progress
from sg2bench.launch import Run


def running():
    now = time.monotonic()
    return [
        Run("full", 0, Path(), 100, state="running", started=now - 10, step=40),
        Run("full", 1, Path(), 100),
        Run("no_ds", 0, Path(), 100, state="skipped", step=100),
    ]


def test_plain_lines_tell_what_changed_and_no_more():
    runs, out = running(), io.StringIO()
    with progress.watching(runs, Console(file=out, width=120)) as show:
        show()
        show()
        runs[0].state, runs[0].step, runs[0].seconds = "done", 100, 20.0
        show()
    lines = out.getvalue().splitlines()
    assert [line.split()[:3] for line in lines] == [
        ["full/seed-0", "running", "40/100"],
        ["no_ds/seed-0", "skipped", "100/100"],
        ["full/seed-0", "done", "100/100"],
    ]
    assert "4.00 it/s  0:00:15" in lines[0]
    assert "5.00 it/s" in lines[2]


def test_a_terminal_gets_a_table_of_all_runs():
    out = io.StringIO()
    with progress.watching(running(), Console(file=out, width=120, force_terminal=True)) as show:
        show()
    for part in ("full/seed-0", "running", "40/100", "4.0", "0:00:15", "waiting", "skipped", "ETA"):
        assert part in out.getvalue()


def test_a_run_that_has_trained_is_evaluating():
    run = Run("full", 0, Path(), 100, state="running", started=time.monotonic() - 10, step=100)
    assert "evaluating" in progress._cells(run)[1]


def test_rate_counts_the_steps_of_this_session_alone():
    run = Run("full", 0, Path(), 100, state="done", started=1.0, seconds=5.0, started_at_step=60, step=100)
    assert run.rate == 8
