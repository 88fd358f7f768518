"""Forecast of what a study will cost on given machines, before anything starts."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import pandas as pd

from sg2bench import devices, experiments
from sg2bench.bench import cost, counted
from sg2bench.config import Experiment
from sg2bench.data import sets
from sg2bench.data.images import ImageSet
from sg2bench.evaluation.extractors import EXTRACTORS
from sg2bench.evaluation.needs import with_metrics
from sg2bench.evaluation.protocol import Protocol
from sg2bench.keys import Resources
from sg2bench.layout import with_home
from sg2bench.runs import storage, times
from sg2bench.runs.job import Job
from sg2bench.runs.plan import plan as plan_runs
from sg2bench.runs.status import Status, last_step

_GIB = 2**30


@dataclass(frozen=True)
class Machines:
    """The workers for runs: the number of parallel runs, and each one's share of a GPU (1 for a CPU thread)."""

    name: str
    unit: str
    parallel_runs: int
    share: float
    rates: cost.Rates

    def has(self, device: str) -> bool:
        """Return whether a device, as named in rows, is of this kind."""
        return device.startswith("cpu") == (self.unit == "CPU")


@dataclass(frozen=True)
class _Run:
    """The modelled cost of one run of a variant: seconds of a step and of all its evaluations, and GiB."""

    gflop: float
    step: float
    evaluation: float
    memory: float
    storage: float


def plan(
    experiment: str | os.PathLike[str] = "critters",
    *,
    settings: Mapping[str, Any] | None = None,
    protocol: str | None = None,
    gpus: int | None = None,
    workers: int | None = None,
    tflops: float | None = None,
    runs: str | os.PathLike[str] = "runs",
) -> pd.DataFrame:
    """Forecast what an experiment will cost, without starting it; return a row per variant and a last row for all
    (`*`).

    Columns: `runs` and how many are `done`; `steps`, `gflop_per_step`, `seconds_per_step`, `evaluation_seconds` and
    `hours_per_run` of a whole run; `hours` left to do (GPU hours, or hours of a CPU thread); `memory_gib` of a run and
    `storage_gib` of all runs at the end; in the last row, `makespan_hours` until all runs are done; and `basis`, the
    origin of the times: the cost model of docs/performance.md, or finished and running runs in the folder `runs` on
    such a device.

    The forecast is for `gpus` GPUs that sustain `tflops` TFLOP/s each, or for `workers` parallel runs on a CPU thread
    each; by default, for this machine. Raises ValueError like `ablate`.
    """
    storage.refuse_url(runs)
    loaded = experiments.load(with_home(experiment), settings, protocol)
    machines = machines_of(gpus, workers, tflops, loaded.resources)
    first = loaded.first()
    images = sets.load(first.data, first.model.image_size)
    loaded = loaded.model_copy(update={"evaluate": with_metrics(loaded.evaluate, images)})
    statuses = plan_runs(loaded, with_home(runs))
    by_variant: dict[str, list[Status]] = {}
    for status in statuses:
        by_variant.setdefault(status.job.variant, []).append(status)
    models = _models(by_variant, machines)
    found = {variant: _measured([each.job for each in some], machines) for variant, some in by_variant.items()}
    rows = [
        _row(variant, some, models[variant], *_seconds(variant, models, found)) for variant, some in by_variant.items()
    ]
    table = pd.DataFrame(rows)
    left = {row["variant"]: (row["seconds_per_step"], row["evaluation_seconds"]) for row in rows}
    seconds = [_left(status, *left[status.job.variant]) for status in statuses]
    shares = pd.Series(seconds).groupby([status.job.variant for status in statuses], sort=False).sum()
    table.insert(8, "hours", table["variant"].map(shares) * machines.share / 3600)
    return pd.concat([table, _whole(table, seconds, machines)], ignore_index=True)


def machines_of(gpus: int | None, workers: int | None, tflops: float | None, resources: Resources) -> Machines:
    """Return the requested machines, or this one: its GPUs, else its cores. Raises ValueError if options do not fit
    together.
    """
    if gpus is not None and workers is not None:
        raise ValueError("give either --gpus or --workers")
    for option, number in (("--gpus", gpus), ("--workers", workers)):
        if number is not None and number < 1:
            raise ValueError(f"{option} {number}: expected 1 or more")
    if gpus is None and workers is None:
        slots = devices.slots("auto", None, resources.gpus, resources.cpus)
        gpus, workers = (None, len(slots)) if slots[0] == "cpu" else (len(set(",".join(slots).split(","))), None)
    if gpus is None:
        if tflops is not None:
            raise ValueError("--tflops needs --gpus")
        assert workers is not None
        return Machines(f"{workers} CPU thread{'s' * (workers > 1)}", "CPU", workers, 1.0, cost.CPU)
    if tflops is not None and not 0 < tflops < math.inf:
        raise ValueError(f"--tflops {tflops}: expected a number above 0")
    share = resources.gpus
    if (parallel_runs := cost.parallel_runs(gpus, share)) == 0:
        raise ValueError(f"--gpus {gpus}: too few, a run takes {share:g} (resources.gpus)")
    rates = cost.H200 if tflops is None else cost.gpu(tflops)
    return Machines(f"{gpus} GPU{'s' * (gpus > 1)}", "GPU", parallel_runs, share, rates)


def _models(by_variant: Mapping[str, Sequence[Status]], machines: Machines) -> dict[str, _Run]:
    """Return the cost of a run of each variant; variants with the same networks and terms are counted once."""
    counts: dict[str, tuple[counted.Cost, tuple[int, int]]] = {}
    found = {}
    for variant, statuses in by_variant.items():
        of_run = statuses[0].job.experiment
        images = sets.load(of_run.data, of_run.model.image_size)
        key = _counted_key(of_run)
        if key not in counts:
            domains = len(images.domains)
            counts[key] = counted.training(of_run, domains), counted.generator(of_run.model, domains)
        found[variant] = _model(of_run, images, *counts[key], machines)
    return found


def _counted_key(experiment: Experiment) -> str:
    """Return a key of everything that the operations of a step depend on; of a term's weight, only whether it is 0."""
    train, terms = experiment.train, {name: bool(value) for name, value in experiment.loss.model_dump().items()}
    size = train.batch_size, train.precision, train.encoder_learns
    return f"{experiment.model.model_dump_json()} {terms} {experiment.loss.objective} {size}"


def _model(
    experiment: Experiment, images: ImageSet, step: counted.Cost, generator: tuple[int, int], machines: Machines
) -> _Run:
    rates, evaluate = machines.rates, experiment.evaluate
    most = evaluate.sources or 10**9
    targets = len(images.domains) - 1
    sources = [targets * min(most, images.count("val", domain)) for domain in images.domains]
    protocol = Protocol(evaluate, experiment.model.image_size)
    names = (protocol.extractor(metric) for metric in evaluate.metrics)
    passes = {EXTRACTORS[name].pass_of or name for name in names}
    encode, decode = (each / 1e9 for each in generator)
    features = cost.features_gflop(passes, evaluate.resize)
    gflop = cost.evaluation_gflop(sources, evaluate.outputs_per_source, len(evaluate.modes), encode, decode, features)
    kept = experiment.train.evaluated_steps
    return _Run(
        step.flops / 1e9,
        cost.step_seconds(step.flops / 1e9, rates, machines.share),
        cost.evaluations(len(kept)) * gflop / (rates.evaluation_gflop_per_second * machines.share),
        (step.state + step.peak) / _GIB + rates.process_gib,
        cost.storage_bytes(step.trained, step.average, len(kept), step.fixed) / _GIB,
    )


def _measured(jobs: Sequence[Job], machines: Machines) -> tuple[float, float]:
    """Return the median seconds of a step and of an evaluation of these jobs on such machines; 0 without any.

    Times of another configuration, which an earlier run left in the folder, do not count.
    """
    steps, evaluations = [], []
    for job in jobs:
        known = times.read(job.folder)
        if known is None or not machines.has(known.device):
            continue
        if known.seconds_per_step and known.lineage in ("", job.lineage):
            steps.append(known.seconds_per_step)
        if known.evaluation_seconds and known.measured in ("", times.measured(job)):
            evaluations.append(known.evaluation_seconds)
    return median(steps or [0.0]), median(evaluations or [0.0])


def _seconds(
    variant: str, models: Mapping[str, _Run], found: Mapping[str, tuple[float, float]]
) -> tuple[float, float, str]:
    """Return the seconds of a variant's step and evaluation, and the origin of the step's: measured, or from the model,
    scaled by the ratio of measured to modelled times of other variants.
    """
    chosen, scale = [], 1.0
    for place, name in ((1, "evaluation"), (0, "step")):
        ratios = [found[each][place] / getattr(model, name) for each, model in models.items() if found[each][place]]
        scale = median(ratios or [1.0])
        chosen.append(found[variant][place] or scale * getattr(models[variant], name))
    if found[variant][0]:
        return chosen[1], chosen[0], "measured"
    return chosen[1], chosen[0], "model" if scale == 1 else f"model × {scale:.2f}"


def _row(
    variant: str, statuses: Sequence[Status], model: _Run, step: float, evaluation: float, basis: str
) -> dict[str, Any]:
    steps = statuses[0].job.steps
    return {
        "variant": variant,
        "runs": len(statuses),
        "done": sum(status.is_finished for status in statuses),
        "steps": steps,
        "gflop_per_step": model.gflop,
        "seconds_per_step": step,
        "evaluation_seconds": evaluation,
        "hours_per_run": (steps * step + evaluation) / 3600,
        "memory_gib": model.memory,
        "storage_gib": len(statuses) * model.storage,
        "makespan_hours": float("nan"),
        "basis": basis,
    }


def _left(status: Status, step: float, evaluation: float) -> float:
    """Return the seconds that a run still needs."""
    if status.is_finished:
        return 0.0
    return max(status.job.steps - last_step(status.job.folder), 0) * step + evaluation


def _whole(table: pd.DataFrame, seconds: Sequence[float], machines: Machines) -> pd.DataFrame:
    """Return the row for all variants."""
    sums = table[["runs", "done", "hours", "storage_gib"]].sum()
    whole = {"variant": "*", "steps": int((table["runs"] * table["steps"]).sum())} | dict(sums)
    whole |= {"memory_gib": table["memory_gib"].max(), "basis": f"{machines.name}; {machines.rates.basis}"}
    whole["makespan_hours"] = cost.makespan((each for each in seconds if each), machines.parallel_runs) / 3600
    return pd.DataFrame([whole]).reindex(columns=table.columns).astype({"runs": int, "done": int, "steps": int})
