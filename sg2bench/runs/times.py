"""Start and end times of a run's training and evaluation, noted in its folder for `sg2bench plan`."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, NamedTuple

from sg2bench.files import write_text
from sg2bench.hashes import stable_hash
from sg2bench.layout import LOG, TIMES
from sg2bench.runs.job import Job
from sg2bench.runs.status import last_step


class Times(NamedTuple):
    """Times of a run's last session; 0 for what it has not done yet."""

    device: str
    """Name of the device, as in rows."""
    seconds_per_step: float
    """Includes loading, logging and saving."""
    evaluation_seconds: float
    """Of all evaluated steps, with the pictures."""
    lineage: str
    """The job's lineage, whose steps were timed; empty if unknown."""
    measured: str
    """Hash of what was evaluated (`measured`); empty if unknown."""


def begin(job: Job, step: int, device: str) -> None:
    """Note that training begins after `step` steps."""
    _write(job.folder, {"device": device, "step": step, "began": time.time(), "lineage": job.lineage})


def note(job: Job, event: str) -> None:
    """Note that training has ended (`trained`), or that evaluation begins (`evaluating`) or has ended (`evaluated`)."""
    if noted := _read(job.folder):
        _write(job.folder, noted | {event: time.time(), "measured": measured(job)})


def measured(job: Job) -> str:
    """Return a hash of what a job evaluates, which decides how long it takes."""
    resolved = job.experiment
    steps, settings = resolved.train.evaluated_steps, resolved.evaluate.model_dump(mode="json")
    return stable_hash([settings, resolved.model.image_size, steps, job.data_fingerprint])


def read(folder: Path) -> Times | None:
    """Read the times of a run's last session, whether finished, interrupted or still running; None if nothing was
    noted.
    """
    noted, log = _read(folder), folder / LOG
    if not {"device", "step", "began"} <= noted.keys() or not log.is_file():
        return None
    steps = last_step(folder) - noted["step"]
    seconds = noted.get("trained", log.stat().st_mtime) - noted["began"]
    evaluation = noted["evaluated"] - noted["evaluating"] if {"evaluating", "evaluated"} <= noted.keys() else 0.0
    each = seconds / steps if steps > 0 and seconds > 0 else 0.0
    return Times(noted["device"], each, max(evaluation, 0.0), noted.get("lineage", ""), noted.get("measured", ""))


def _read(folder: Path) -> dict[str, Any]:
    try:
        noted = json.loads((folder / TIMES).read_text(encoding="utf-8"))
        return noted if isinstance(noted, dict) else {}
    except (OSError, ValueError):
        return {}


def _write(folder: Path, noted: dict[str, Any]) -> None:
    write_text(folder / TIMES, json.dumps(noted))
