"""Measure time and memory of a study of thousands of simulated runs, which is planned, run and reported.

    python -m tools.many_jobs [VARIANTS [SEEDS]]

The default is 1,000 variants of 10 seeds. Prints a line per phase, and fails if the whole takes more than two minutes
or 1 GiB.
"""

from __future__ import annotations

import hashlib
import json
import resource
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
import yaml

import sg2bench
from sg2bench import ablation, experiments, rows
from sg2bench.evaluation.uncertainty import Estimate
from sg2bench.evaluation.values import Value, tabulate
from sg2bench.layout import DIGESTS, PAGE, ROWS
from sg2bench.runs.job import Job
from sg2bench.runs.status import Status

MOST_SECONDS, MOST_MIB = 120, 1024
_POLLED = 0.5
"""Seconds between two polls of an executor."""


class Simulated:
    """Executor that simulates jobs: it draws values, better or worse by variant, and writes them as a run's rows."""

    def __init__(self) -> None:
        self._template = ""

    def perform(self, statuses: Sequence[Status]) -> Generator[None]:
        looked = time.monotonic()
        for place, status in enumerate(statuses):
            if status.state == "waiting":
                self._perform(status.job, place)
                status.state, status.step = "done", status.job.steps
            if time.monotonic() - looked > _POLLED:
                looked = time.monotonic()
                yield
        yield

    def _perform(self, job: Job, place: int) -> None:
        self._template = self._template or _rows_of(job)
        worse = 1 + 0.1 * (place % 7) if job.variant != "full" else 1
        value = 0.5 * worse * float(np.random.default_rng(place).lognormal(sigma=0.1))
        text = self._template.replace("VARIANT,0", f"{job.variant},{job.seed}").replace("HASH", job.config_hash)
        content = text.replace("VALUE", f"{value:.6g}").encode()
        (job.folder / ROWS).write_bytes(content)
        noted = {"config_hash": job.config_hash, "sha256": {ROWS: hashlib.sha256(content).hexdigest()}}
        (job.folder / DIGESTS).write_text(json.dumps(noted), encoding="utf-8")


def _rows_of(job: Job) -> str:
    """Return the CSV of a job's rows, with placeholders for everything that differs between jobs."""
    domains = job.experiment.data.domains or ()
    pairs = [(source, target) for source in domains for target in domains if source != target]
    pairs += [("*", target) for target in (*domains, "*")]
    estimate = Estimate(0.5, {"val": np.array([0.1, -0.1])})
    values = [
        Value(mode, *pair, metric, estimate, 50, 40)
        for metric, mode in job.experiment.evaluate.measured
        for pair in pairs
    ]
    about = job.data_fingerprint, torch.device("cpu"), job.config_hash
    table = tabulate(values, job.experiment, "VARIANT", 0, job.steps, *about)
    return table.assign(value="VALUE", ci_low="", ci_high="", config_hash="HASH").to_csv(index=False)


def experiment(variants: int, seeds: int) -> dict[str, object]:
    """Return an experiment with learning rates as variants, small networks, two domains and two metrics."""
    rates = {f"v{n}": {"train.learning_rate": 1e-3 * (1 + n / variants)} for n in range(1, variants)}
    return {
        "name": "many",
        "data": {"domains": ["cat", "dog"], "train_per_domain": 8, "val_per_domain": 4},
        "model": {"image_size": 32, "first_width": 4, "max_width": 8, "mapping_width": 8},
        "train": {"steps": 10},
        "evaluate": {"metrics": ["fd_alexnet", "lpips"], "resize": 64, "outputs_per_source": 2},
        "variants": {"full": {}} | rates,
        "seeds": list(range(seeds)),
    }


def plan(file: Path, seeds: int) -> None:
    costs = sg2bench.plan(file, workers=64, runs=file.parent / "runs")
    assert costs["runs"].iloc[-1] == seeds * (len(costs) - 1)


def run_and_report(file: Path, seeds: int) -> None:
    performer, folder = (Simulated(), torch.device("cpu")), file.parent
    table, statuses = ablation.perform_runs(
        experiments.load(file), folder / "runs", folder / "report", (), performer, "tools.many_jobs", lambda _: None
    )
    assert {status.state for status in statuses} == {"done"}
    assert len(statuses) == seeds * table[~rows.is_line(table)]["variant"].nunique()


PHASES = {"plan": plan, "run and report": run_and_report}


def measured(phase: str, file: Path, seeds: int) -> dict[str, float]:
    """Measure seconds, CPU seconds and peak MiB of a phase; the last two include the imports of a new process."""
    start = time.monotonic()
    PHASES[phase](file, seeds)
    mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": time.monotonic() - start, "cpu": time.process_time(), "mib": mib}


def main() -> None:
    given = [int(argument) for argument in sys.argv[1:3]]
    variants, seeds = [*given, *(1000, 10)[len(given) :]]
    found = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "many.yaml"
        file.write_text(yaml.safe_dump(experiment(variants, seeds)), encoding="utf-8")
        for phase in PHASES:  # each in its process, as commands are
            with ProcessPoolExecutor(1, get_context("spawn")) as pool:
                found.append(pool.submit(measured, phase, file, seeds).result())
            said = "{seconds:.0f} s, {cpu:.0f} CPU s, {mib:.0f} MiB".format(**found[-1])
            print(f"{phase}: {said}", flush=True)
        size = (Path(folder) / "report" / PAGE).stat().st_size / 1e6
    seconds, mib = sum(each["seconds"] for each in found), max(each["mib"] for each in found)
    print(f"{variants * seeds} runs of {variants} variants: {seconds:.0f} s, {mib:.0f} MiB; the page has {size:.1f} MB")
    if seconds > MOST_SECONDS or mib > MOST_MIB:
        sys.exit(f"more than {MOST_SECONDS} s or {MOST_MIB} MiB")


if __name__ == "__main__":
    main()
