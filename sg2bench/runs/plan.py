"""Plan variants × seeds as jobs, done and to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from sg2bench.config import Data, Experiment
from sg2bench.data import sets
from sg2bench.data.images import ImageSet
from sg2bench.evaluation.protocol import Protocol
from sg2bench.files import remove_left_overs
from sg2bench.keys import refuse_unmeasured
from sg2bench.layout import CHECKPOINT, CONFIG, CURVES, EXPERIMENT, GRIDS, LOCK, RESULTS, ROWS
from sg2bench.models import checkpoints
from sg2bench.runs import job as jobs
from sg2bench.runs import pictures, steps
from sg2bench.runs.job import Job
from sg2bench.runs.known import Known, find
from sg2bench.runs.status import Status
from sg2bench.training.resume import trained_steps

_WRITERS = 16


def plan(experiment: Experiment, runs: Path, known: Sequence[Known] = ()) -> list[Status]:
    """Return every run of an experiment, seed by seed, so that an interrupted study has all variants. Finished and
    `known` runs are `skipped`.

    Raises ValueError if a run's folder was made with another configuration or with other images, or is past a step that
    should be measured, if rows of two variants could not be in one report, or if known rows of a run differ.
    """
    if taken := {RESULTS, CURVES, EXPERIMENT}.intersection(experiment.variants):
        raise ValueError(f"variants: {min(taken)} is a file in the folder of the runs; give the variant another name")
    planned: list[Status] = []
    images: dict[tuple[Data, int], ImageSet] = {}
    for variant in experiment.variants:
        resolved = experiment.resolve(variant)
        key = resolved.data, resolved.model.image_size
        if key not in images:
            images[key] = sets.load(*key)
        of_variant = jobs.of_seeds(resolved, runs, images[key], checkpoints.files_of(resolved))
        if planned:
            _refuse_other_measure(planned[0].job, of_variant[0], experiment)
        else:
            refuse_unmeasured(experiment.claims, of_variant[0].experiment.evaluate.measured)
        for job in of_variant:
            refuse_other_configuration(job)
            status = Status(job)
            measured = is_measured(job)
            if not measured:
                status.known = find(job, known)
            if status.known or (measured and not pictures.lacks_any(job)):
                status.state, status.step = "skipped", job.steps
            elif not measured:
                steps.refuse_steps_gone_by(job)
            planned.append(status)
    _refuse_equal_variants(experiment, [status.job for status in planned])
    places = {seed: place for place, seed in enumerate(experiment.seeds)}
    return sorted(planned, key=lambda status: places[status.job.seed])


def _refuse_equal_variants(experiment: Experiment, planned: Iterable[Job]) -> None:
    """Raise ValueError if a claim compares two equal trainings, such as after `--set loss.cyc=0`, or after a typo."""
    of_variant = {job.variant: job.config_hash for job in planned}  # `run` plans a single one
    first = next(iter(of_variant))
    for place, claim in enumerate(experiment.claims):
        if claim.variant != first and of_variant.get(claim.variant) == of_variant[first]:
            raise ValueError(
                f"claims.{place}: {claim.variant} and {first} are the same training, so nothing could be decided; "
                "change one of them, or drop all claims with --set claims=[]"
            )


def refuse_folders(experiment: Path, out: Path, collected: Path) -> None:
    """Raise ValueError if a copy of the experiment would overwrite its file, in the folder of the report or of
    collected rows, or if the two folders are the same.
    """
    for option, folder in (("--out", out), ("--runs", collected)):
        if (folder / EXPERIMENT).resolve() == experiment.resolve():
            raise ValueError(f"{option}: {folder / EXPERIMENT} would overwrite the experiment; name another folder")
    if out.resolve() == collected.resolve():
        raise ValueError(f"--out {out}: is the folder of the runs; name another folder")


def write(statuses: Iterable[Status]) -> None:
    """Write each waiting job into its folder, from which its worker reads it, and each finished one whose folder has
    the configuration of a longer training that never began.

    Raises ValueError if another process is using a folder.
    """
    due = [
        status.job
        for status in statuses
        if status.state == "waiting" or (status.known is None and not jobs.is_written(status.job))
    ]
    with ThreadPoolExecutor(_WRITERS) as pool:  # each waits for the disk
        for _ in pool.map(jobs.write, due):
            pass


def _refuse_other_measure(first: Job, job: Job, experiment: Experiment) -> None:
    """Raise ValueError, with the keys, if a variant's images or protocol differ from those of the first one."""

    def measured(job: Job) -> dict[str, str]:
        protocol = Protocol(job.experiment.evaluate, job.experiment.model.image_size)
        hashes = {metric: protocol.hash(metric) for metric in first.experiment.evaluate.metrics}
        return {"images": job.data_fingerprint} | hashes

    if measured(job) == measured(first):
        return
    old, new = (experiment.resolve(each.variant).model_dump(mode="json") for each in (first, job))
    keys = [*(("data", key) for key in old["data"]), ("model", "image_size")]
    values = ((f"{part}.{key}", old[part][key], new[part][key]) for part, key in keys)
    changed = [f"{key} {before} → {after}" for key, before, after in values if before != after]
    raise ValueError(
        f"variants: {first.variant} and {job.variant} differ in {', '.join(changed)}, and so in what is measured: "
        "their rows could not be in one report; make them two experiments"
    )


@contextmanager
def exclusively(folder: Path) -> Iterator[None]:
    """Keep other processes from planning and performing the runs of this folder. Raises ValueError if one does."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / LOCK, timeout=0):
            for each in (folder, folder / GRIDS):
                remove_left_overs(each)
            yield
    except Timeout:
        raise ValueError(f"{folder}: another process is working on these runs; wait for it, or stop it") from None


def is_measured(job: Job) -> bool:
    """Return whether a run has the rows of all its steps, for these images, this protocol, these metrics and modes."""
    return not steps.missing(job, steps.stored(job))


def refuse_other_configuration(job: Job) -> None:
    """Raise ValueError if a run's folder holds training of another configuration, with the differences.

    Training of the same lineage with fewer steps is allowed: the job continues it. So is the configuration of a longer
    training that has not begun.
    """
    if not (job.folder / CONFIG).is_file() or not _was_trained(job.folder):
        return
    stored = jobs.read(job.folder)
    if stored.config_hash == job.config_hash:
        return
    if stored.lineage == job.lineage and (stored.steps <= job.steps or trained_steps(job.folder) <= job.steps):
        return
    longer = stored.steps < job.steps and job.experiment.loss.ds and not job.experiment.loss.ds_steps
    remedy = f"set loss.ds_steps={stored.steps} to keep the schedule of ds, " if longer else ""
    raise ValueError(
        f"{job.folder} was made with another configuration ({_differences(stored, job)}); "
        f"{remedy}remove the folder, or give another --runs folder or name"
    )


def _differences(stored: Job, job: Job) -> str:
    old, new = (each.experiment.model_dump(mode="json") for each in (stored, job))
    changed = [
        f"{part}.{key} {old[part][key]} → {new[part][key]}"
        for part in ("model", "loss", "train")
        for key in new[part]
        if old[part][key] != new[part][key]
    ]
    if stored.data_fingerprint != job.data_fingerprint:
        changed.append(f"images {stored.data_fingerprint} → {job.data_fingerprint}")
    return ", ".join(changed) or f"other content of {', '.join(checkpoints.files_of(job.experiment)) or 'its files'}"


def _was_trained(folder: Path) -> bool:
    return (folder / CHECKPOINT).exists() or (folder / ROWS).exists() or any(folder.glob("*_nets_ema.ckpt"))
