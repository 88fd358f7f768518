"""A job: one run with all its settings, and the file in its folder from which a worker reads it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from sg2bench import experiments
from sg2bench.config import Experiment
from sg2bench.data import sets
from sg2bench.data.images import ImageSet
from sg2bench.evaluation.needs import with_metrics
from sg2bench.files import write_text
from sg2bench.hashes import lineage_hash, training_hash
from sg2bench.layout import CONFIG, DIGESTS, LOCK, ema_file, folder_of_run, run_folder, step_of
from sg2bench.models import checkpoints
from sg2bench.rows import HASH

_HEAD = {"data_fingerprint": "# data fingerprint: ", "config_hash": "# training hash: ", "lineage": "# lineage hash: "}
"""Starts of the first lines of a job's file."""


@dataclass(frozen=True)
class Job:
    """One variant and seed. `experiment` is resolved: it has only this variant and seed, and names the domains."""

    variant: str
    seed: int
    experiment: Experiment
    folder: Path
    data_fingerprint: str
    config_hash: str
    lineage: str
    """Like `config_hash`, but without the number of steps."""

    @property
    def name(self) -> str:
        return f"{self.variant}/seed-{self.seed}"

    @property
    def steps(self) -> int:
        return self.experiment.train.steps


def of_seeds(resolved: Experiment, runs: Path, images: ImageSet, files: Mapping[str, str]) -> list[Job]:
    """Return a job per seed of a resolved experiment. `files` are the SHA-256 of the files from which training
    starts.
    """
    (variant,) = resolved.variants
    data = resolved.data.model_copy(update={"domains": images.domains})
    evaluate = with_metrics(resolved.evaluate, images)
    if (best_by := resolved.train.best_by) and best_by not in evaluate.metrics:
        raise ValueError(f"train.best_by: {best_by} is not among the metrics measured, {', '.join(evaluate.metrics)}")
    resolved = resolved.model_copy(update={"data": data, "evaluate": evaluate})
    hashes = [of(resolved, images.fingerprint, files) for of in (training_hash, lineage_hash)]
    return [
        Job(
            variant,
            seed,
            resolved.model_copy(update={"seeds": (seed,)}),
            run_folder(runs, resolved.name, variant, seed),
            images.fingerprint,
            *hashes,
        )
        for seed in resolved.seeds
    ]


def write(job: Job) -> None:
    """Write the job into its folder, unless it is there. Raises ValueError if another process is using the folder."""
    path, text = job.folder / CONFIG, _head(job) + experiments.dump(job.experiment)
    if path.is_file() and path.read_text(encoding="utf-8", errors="replace") == text:
        return
    with exclusively(job.folder):
        write_text(path, text)


def is_written(job: Job) -> bool:
    """Return whether the folder's configuration has this job's images and training."""
    try:
        with (job.folder / CONFIG).open(encoding="utf-8", errors="replace") as file:
            return file.read(len(_head(job))) == _head(job)
    except OSError:
        return False


@contextmanager
def exclusively(folder: Path, patience: float = 0) -> Iterator[None]:
    """Keep other processes out of a run's folder. Raises ValueError if one still uses it after `patience` seconds."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK, timeout=patience)
    try:
        lock.acquire()
    except Timeout:
        raise ValueError(f"{folder}: another process is using this folder; wait for it, or stop it") from None
    try:
        yield
    finally:
        lock.release()


def _head(job: Job) -> str:
    return "".join(f"{mark}{getattr(job, field)}\n" for field, mark in _HEAD.items())


def read(folder: Path) -> Job:
    """Read the job in a folder. Raises ValueError for a folder without a job."""
    path = folder / CONFIG
    if not path.is_file():
        raise ValueError(f"{folder}: not a run's folder, such as runs/critters/full/seed-0: it has no {CONFIG}")
    experiment = experiments.load(path)
    head = path.read_text(encoding="utf-8").splitlines()[: len(_HEAD)]
    fields = {field: line.removeprefix(mark) for (field, mark), line in zip(_HEAD.items(), head, strict=False)}
    marked = all(line.startswith(mark) for mark, line in zip(_HEAD.values(), head, strict=False))
    (variant, *variants), (seed, *seeds) = experiment.variants, experiment.seeds
    marked = marked and all(re.fullmatch(HASH[0], value) for value in fields.values())
    if variants or seeds or not marked or len(fields) < len(_HEAD):
        raise ValueError(f"{path}: not the configuration of a run; remove the folder and start the run again")
    return Job(variant, seed, experiment, folder, **fields)


def of_checkpoint(checkpoint: Path) -> Job | None:
    """Return the job in whose folder a checkpoint is, or None if it is elsewhere.

    Raises ValueError like `read`, also for a run's folder, known by its digests, whose configuration has lost its head.
    """
    folder = folder_of_run(checkpoint)
    mark = next(iter(_HEAD.values())).encode()
    with suppress(OSError), (folder / CONFIG).open("rb") as file:
        return read(folder) if file.read(len(mark)) == mark or (folder / DIGESTS).is_file() else None
    return None


def refuse_current_networks(checkpoint: Path, job: Job) -> None:
    """Raise ValueError for a checkpoint in its run's folder that does not hold the averaged networks: its rows would
    pass for the run's.
    """
    file = checkpoint.resolve()
    if file.name != ema_file(step_of(file)):
        averaged = ema_file(step_of(file) or job.steps)  # a checkpoint to resume from has no step in its name
        raise ValueError(
            f"{checkpoint}: a run is measured by its averaged networks, such as {averaged}; to measure others, "
            f"copy them out of {job.folder}"
        )


def refuse_other_labels(job: Job, experiment: Experiment, variant: str | None, seed: int | None) -> None:
    """Raise ValueError if a checkpoint's run is not of this experiment, variant or seed, as far as they are given."""
    for option, given, known in (
        ("--experiment", experiment.name, job.experiment.name),
        ("--variant", variant, job.variant),
        ("--seed", seed, job.seed),
    ):
        if given not in (None, known):
            raise ValueError(f"{option} {given}: the checkpoint is of {known}, according to {job.folder / CONFIG}")
    if job.variant not in experiment.variants:
        raise ValueError(
            f"--experiment {experiment.name}: has no variant {job.variant}, to which the checkpoint belongs "
            f"according to {job.folder / CONFIG}"
        )


def refuse_other_domains(job: Job, domains: Sequence[str]) -> None:
    """Raise ValueError if images have other domains than those of a run, whose labels are the places of its domains."""
    if tuple(domains) != job.experiment.data.domains:
        raise ValueError(
            f"{job.folder / CONFIG}: the model's domains are {', '.join(job.experiment.data.domains or ())}, but those "
            f"of the images are {', '.join(domains)}; name the images' folders like the model's domains"
        )


def load_images(job: Job) -> ImageSet:
    """Load the images of a job. Raises ValueError if they, or the files from which training starts, have changed."""
    images = sets.load(job.experiment.data, job.experiment.model.image_size)
    if images.fingerprint != job.data_fingerprint:
        raise ValueError(f"{job.folder}: the images have changed since the run was planned; run the command again")
    if training_hash(job.experiment, images.fingerprint, checkpoints.files_of(job.experiment)) != job.config_hash:
        raise ValueError(
            f"{job.folder / CONFIG}: its content does not match the hash in its second line: it, or a file from which "
            "training starts, was changed; run the command again"
        )
    return images
