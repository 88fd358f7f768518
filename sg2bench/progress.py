"""A live table of runs on a terminal; a plain line for what changed elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console
from rich.live import Live
from rich.table import Table

from sg2bench.launch import Run

_PLAIN_SECONDS = 30


@contextmanager
def watching(runs: Sequence[Run], console: Console) -> Iterator[Callable[[], None]]:
    """Gives a function to call now and then, which shows how far each run is."""
    if console.is_terminal:
        with Live(console=console, get_renderable=lambda: _table(runs), refresh_per_second=2) as live:
            yield live.refresh
    else:
        yield _Lines(runs, console).show


class _Lines:
    """Prints a run when its state changes, and all that are running twice a minute."""

    def __init__(self, runs: Sequence[Run], console: Console) -> None:
        self.runs, self.console = runs, console
        self.shown = {run.name: "waiting" for run in runs}
        self.last = time.monotonic()

    def show(self) -> None:
        due = time.monotonic() - self.last > _PLAIN_SECONDS
        for run in self.runs:
            if run.state != self.shown[run.name] or (due and run.state == "running"):
                self.shown[run.name] = run.state
                self.console.print("  ".join(_cells(run)), highlight=False)
        if due:
            self.last = time.monotonic()


def _table(runs: Sequence[Run]) -> Table:
    table = Table("run", "state", "step", "it/s", "ETA", box=None)
    for run in runs:
        style = {"failed": "red", "running": "bold", "done": "green", "skipped": "dim"}.get(run.state, "")
        table.add_row(*_cells(run), style=style)
    return table


def _cells(run: Run) -> tuple[str, ...]:
    state = "evaluating" if run.state == "running" and run.step >= run.steps else run.state
    rate = f"{run.rate:.2f}" if run.rate and run.state != "skipped" else "–"
    left = ""
    if run.state == "running" and run.rate and run.step < run.steps:
        left = str(timedelta(seconds=round((run.steps - run.step) / run.rate)))
    return f"{run.name:24}", f"{state:10}", f"{run.step}/{run.steps}", f"{rate} it/s", left
