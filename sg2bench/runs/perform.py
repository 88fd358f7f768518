"""Perform one run: train, evaluate, draw samples, write rows."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from types import FrameType

import pandas as pd
import torch

from sg2bench import devices, distributed, rows
from sg2bench.config import Experiment
from sg2bench.data.images import ImageSet
from sg2bench.evaluation import lines
from sg2bench.evaluation.evaluator import Evaluator
from sg2bench.evaluation.guidance import HALVES, refuse_too_few_references
from sg2bench.evaluation.values import tabulate
from sg2bench.files import add_digest, is_intact, remove_left_overs, write_digests
from sg2bench.hashes import training_hash
from sg2bench.layout import ROWS, SAMPLES, STEPS, ema_file
from sg2bench.models import checkpoints
from sg2bench.models.networks import Networks
from sg2bench.runs import pictures, steps, times
from sg2bench.runs.job import Job, exclusively, load_images
from sg2bench.training.loop import StoppedError, train
from sg2bench.training.resume import trained_steps


class Stop:
    """On SIGTERM and SIGINT, training stops after its step; everything else ends at once.

    The processes of a run check together: a signal to one of them stops all after the same step.
    """

    def __init__(self) -> None:
        self._training = False
        self._signal: int | None = None
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note)

    def __call__(self) -> bool:
        if told := max(distributed.gather(self._signal or 0)):
            self._signal = told
        return bool(told)

    @contextmanager
    def during_training(self) -> Iterator[None]:
        self._training = True
        try:
            yield
        except StoppedError:
            if distributed.rank() == 0:
                print("stopped; the same command resumes from here", file=sys.stderr)
        except ValueError:
            if self._signal is None:  # Ctrl-C also kills the C++ compiler, and its failure is no error then
                raise
        finally:
            self._training = False
        if self._signal is not None:
            sys.exit(128 + self._signal)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._signal = number
        if not self._training:
            sys.exit(128 + number)


def perform(job: Job, device: torch.device, stop: Stop | None = None, patience: float = 0) -> None:
    """Train and evaluate one run into its folder: log, networks, pictures, rows.

    If `stop` is true, training saves after its step and the process exits. Raises ValueError if the images have
    changed, or if another run still uses the folder after `patience` seconds.

    Several processes (`distributed`) share the work of training and measuring; only the first one writes.
    """
    if device.type == "cpu":
        torch.set_num_threads(1)  # another number rounds differently, and training amplifies that
    elif device.index is not None:
        torch.cuda.set_device(device)
    images, evaluator = distributed.together(_prepare, job, device)
    with _exclusively(job.folder, patience):
        _perform(job, images, evaluator, device, stop)


def _prepare(job: Job, device: torch.device) -> tuple[ImageSet, Evaluator]:
    images, resolved = load_images(job), job.experiment
    parts = HALVES if resolved.train.evaluated_steps else ()
    evaluator = Evaluator(resolved.evaluate, images, resolved.model.image_size, device, parts=parts)
    if "reference" in resolved.evaluate.modes:
        refuse_too_few_references(images, resolved.evaluate)
    return images, evaluator


@contextmanager
def _exclusively(folder: Path, patience: float) -> Iterator[None]:
    """Keep other runs out of the folder, for all processes of this one. Raises ValueError like `exclusively`."""
    with ExitStack() as held:

        def take() -> None:
            held.enter_context(exclusively(folder, patience))
            for each in (folder, folder / SAMPLES, folder / STEPS):
                remove_left_overs(each)

        distributed.from_first(take)
        yield


def _perform(job: Job, images: ImageSet, evaluator: Evaluator, device: torch.device, stop: Stop | None) -> None:
    nets = _networks(job, images, device, stop)
    distributed.from_first(pictures.draw, job, nets, evaluator)
    table = distributed.from_first(steps.stored, job)
    if is_new := table.empty:
        distributed.from_first(times.note, job, "evaluating")
    while todo := steps.missing(job, table):
        measured = todo[0]
        of_step = nets if measured[0] == job.steps else distributed.together(_kept, job, images, measured[0], device)
        found = _measure(job, of_step, evaluator, measured)
        table = pd.concat([each for each in (steps.without(job, table, measured), found) if len(each)])
        table = steps.of(job, table, steps.wanted(job, table))
        distributed.from_first(_write, job, table)
    if is_new:
        distributed.from_first(times.note, job, "evaluated")


def _write(job: Job, table: pd.DataFrame) -> None:
    rows.write(table, job.folder / ROWS)
    add_digest(job.folder, ROWS, config_hash=job.config_hash)


def _measure(job: Job, nets: Networks, evaluator: Evaluator, measured: steps.Measured) -> pd.DataFrame:
    step, part = measured
    which = "" if part == "all" else f"step {step} on the {part} sources, "
    values = evaluator.model(nets, lambda pair: _say(f"evaluating {which}{pair}"), part)
    about = job.data_fingerprint, evaluator.device, job.config_hash
    return distributed.together(tabulate, values, job.experiment, job.variant, job.seed, step, *about, part=part)


def _say(line: str) -> None:
    # one write per line: torchrun's processes share an output, and `print` may write the line's end apart
    print(f"{line}\n", end="", flush=True)


def _kept(job: Job, images: ImageSet, step: int, device: torch.device) -> Networks:
    """Load the averaged networks of a step before the last."""
    folder = job.folder / STEPS
    if not is_intact(folder, ema_file(step), lineage=job.lineage):
        raise ValueError(
            f"{folder / ema_file(step)}: is not what training wrote; remove the folder {job.folder} to train again, "
            "or leave the step out of train.evaluate_at or evaluate_every"
        )
    return _load(job, images, folder / ema_file(step), device)


def _load(job: Job, images: ImageSet, path: Path, device: torch.device) -> Networks:
    nets = Networks(job.experiment.model, len(images.domains))
    checkpoints.load(nets, path, fan_weights=job.experiment.model.fan_weights)
    return nets.to(device)


def _networks(job: Job, images: ImageSet, device: torch.device, stop: Stop | None) -> Networks:
    """Return the averaged networks: trained now, or loaded if training is finished."""
    ema = ema_file(job.steps)
    if distributed.from_first(is_intact, job.folder, ema, config_hash=job.config_hash):
        return distributed.together(_load, job, images, job.folder / ema, device)
    distributed.from_first(lambda: times.begin(job, trained_steps(job.folder), devices.full_name(device)))
    with stop.during_training() if stop else nullcontext():
        nets = train(job.experiment, job.seed, images, job.folder, device, job.lineage, stop or (lambda: False), _say)
    distributed.from_first(write_digests, job.folder, [ema], config_hash=job.config_hash)
    distributed.from_first(times.note, job, "trained")
    return nets


def reference_lines(experiment: Experiment, images: ImageSet, device: torch.device) -> pd.DataFrame:
    """Return rows of the reference lines; this also fills the cache of real features that the runs read."""
    if "reference" in experiment.evaluate.modes:
        refuse_too_few_references(images, experiment.evaluate)
    config_hash = training_hash(experiment, images.fingerprint, {})
    halved = any(experiment.resolve(variant).train.evaluated_steps for variant in experiment.variants)
    size, parts = experiment.first().model.image_size, HALVES if halved else ()
    found = lines.reference_lines(Evaluator(experiment.evaluate, images, size, device, parts=parts))
    return pd.concat(
        [
            tabulate(values, experiment, line, 0, 0, images.fingerprint, device, config_hash, size)
            for line, values in found.items()
            if values
        ]
        or [pd.DataFrame(columns=rows.COLUMNS)]
    )
