"""Progress of runs: a live table on a terminal, plain lines for changes elsewhere."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from sg2bench.runs.status import Status

_PLAIN_SECONDS = 30
_MOST_LINES = 50


class View:
    """Shows the progress of runs on demand."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live: Live | None = None
        self._shown: dict[str, str] = {}
        self._last = time.monotonic()

    def show(self, statuses: Sequence[Status]) -> None:
        if self._live is not None:
            self._live.update(_table(statuses), refresh=True)
        else:
            self._print_changes(statuses)

    def _print_changes(self, statuses: Sequence[Status]) -> None:
        """Print a line for each run whose state changed, and twice a minute for all that are running."""
        due = time.monotonic() - self._last > _PLAIN_SECONDS
        for status in statuses:
            before = self._shown.get(status.job.name, "waiting")
            if status.state != before or (due and status.state == "running"):
                self._shown[status.job.name] = status.state
                self._console.print(Text("  ".join(_cells(status))), soft_wrap=True)
        if due:
            self._last = time.monotonic()


@contextmanager
def view(console: Console) -> Iterator[View]:
    """Yield a view of runs on a console."""
    shown = View(console)
    if console.is_terminal:
        with Live(console=console, auto_refresh=False) as shown._live:
            yield shown
    else:
        yield shown


def _table(statuses: Sequence[Status]) -> Group:
    """Return a line per run; with very many, only those that are running or failed, and the numbers of the others."""
    table = Table("run", "state", "step", "steps/s", "ETA", box=None)
    shown = statuses
    if len(statuses) > _MOST_LINES:
        shown = [status for status in statuses if status.state in ("running", "failed")][:_MOST_LINES]
    for status in shown:
        style = {"failed": "red", "running": "bold", "done": "green", "skipped": "dim"}.get(status.state, "")
        table.add_row(*map(Text, _cells(status)), style=style)
    if len(shown) == len(statuses):
        return Group(table)
    states = Counter(status.state for status in statuses)
    said = ", ".join(f"{count} {state}" for state, count in states.items())
    return Group(table, Text(f"{len(statuses)} runs: {said}"))


def _cells(status: Status) -> tuple[str, ...]:
    steps = status.job.steps
    state: str = "evaluating" if status.state == "running" and status.step >= steps else status.state
    rate = f"{status.rate:.2f}" if status.rate and status.state != "skipped" else "–"
    left = ""
    if status.known is not None:
        state, left = "known", f"from {status.known.path}"
    if status.state == "running" and status.rate and status.step < steps:
        left = str(timedelta(seconds=round((steps - status.step) / status.rate)))
    return f"{status.job.name:24}", f"{state:10}", f"{status.step}/{steps}", f"{rate} steps/s", left
