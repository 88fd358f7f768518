"""The status of a run."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sg2bench.layout import LOG

if TYPE_CHECKING:
    import pandas as pd

    from sg2bench.runs.job import Job
    from sg2bench.runs.known import Known


@dataclass
class Status:
    """State of a job, kept up to date by its executor."""

    job: Job
    state: Literal["waiting", "running", "done", "skipped", "failed"] = "waiting"
    started: float = 0.0
    seconds: float = 0.0
    started_at_step: int = 0
    step: int = 0
    reason: str = ""
    """Why it failed, if it could not be started; otherwise its log says why."""
    known: Known | None = None
    """The file of its rows, if not from its folder; its state is then `skipped`."""
    rows: pd.DataFrame | None = None
    """Its rows, once they are collected."""

    @property
    def is_finished(self) -> bool:
        return self.state in ("done", "skipped")

    @property
    def failure(self) -> str:
        """Say that it failed, with the reason or the place of its log."""
        return f"{self.job.name} failed: {self.reason or f'see its log in {self.job.folder}'}"

    @property
    def rate(self) -> float:
        """Return the steps per second of this session; 0 before the first log line."""
        elapsed = (self.seconds or time.monotonic() - self.started) if self.started else 0
        return (self.step - self.started_at_step) / elapsed if elapsed else 0.0

    def start(self, step: int | None = None) -> None:
        """Note that it is running, from a step: by default that of its log."""
        self.started_at_step = self.step = last_step(self.job.folder) if step is None else step
        self.state, self.started = "running", time.monotonic()

    def end(self, succeeded: bool) -> None:
        self.seconds = time.monotonic() - self.started
        self.state = "done" if succeeded else "failed"
        self.look()

    def look(self, step: int | None = None) -> None:
        """Note the step, by default that of the training log. A log that was ahead of its checkpoint is cut back."""
        self.step = last_step(self.job.folder) if step is None else step
        self.started_at_step = min(self.started_at_step, self.step)


def last_step(folder: Path) -> int:
    """Return the step of the training log's last complete line, or 0."""
    try:
        lines = (folder / LOG).read_text(encoding="utf-8").rpartition("\n")[0].splitlines()
        return int(lines[-1].split(",")[0]) if len(lines) > 1 else 0
    except (OSError, ValueError):
        return 0
