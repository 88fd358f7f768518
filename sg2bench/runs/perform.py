"""What one run does: train, evaluate, draw samples, write rows."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from types import FrameType

import pandas as pd
import torch
from filelock import FileLock, Timeout

from sg2bench import rows
from sg2bench.config import Experiment
from sg2bench.data.images import ImageSet
from sg2bench.evaluation.evaluator import Evaluator
from sg2bench.evaluation.guidance import refuse_too_few_references
from sg2bench.evaluation.values import tabulate
from sg2bench.files import atomic_file, is_intact, write_digests
from sg2bench.hashes import training_hash
from sg2bench.layout import LOCK, ROWS, ema_file, sample_file
from sg2bench.models import checkpoints
from sg2bench.models.networks import Networks
from sg2bench.runs.job import Job, load_images
from sg2bench.samples.grids import grid
from sg2bench.training.loop import StoppedError, train


class Stop:
    """Turns SIGTERM and SIGINT into a question that training asks after each step; all else they end at once."""

    def __init__(self) -> None:
        self._training = False
        self._signal: int | None = None
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note)

    def __call__(self) -> bool:
        return self._signal is not None

    @contextmanager
    def after_training_has_saved(self) -> Iterator[None]:
        self._training = True
        try:
            yield
        except StoppedError:
            print("stopped; the same command goes on from here", file=sys.stderr)
        finally:
            self._training = False
        if self._signal is not None:
            sys.exit(128 + self._signal)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._signal = number
        if not self._training:
            sys.exit(128 + number)


def perform(job: Job, device: torch.device, stop: Stop | None = None, patience: float = 0) -> None:
    """Train and evaluate one run into its folder: log, networks, rows, sample grids.

    When `stop` says so, training saves after its step and the process exits. Raises ValueError for images that have
    changed, or if another process is still using the folder after `patience` seconds.
    """
    images = load_images(job)
    resolved = job.experiment
    if device.type == "cpu":
        torch.set_num_threads(1)  # another number gives another rounding, and training amplifies it
    evaluator = Evaluator(resolved.evaluate, images, resolved.model.image_size, device)
    if "reference" in resolved.evaluate.modes:
        refuse_too_few_references(images, resolved.evaluate)
    try:
        with FileLock(job.folder / LOCK, timeout=patience):
            _perform(job, images, evaluator, device, stop)
    except Timeout:
        raise ValueError(f"{job.folder}: another process is using this folder; wait for it, or stop it") from None


def _perform(job: Job, images: ImageSet, evaluator: Evaluator, device: torch.device, stop: Stop | None) -> None:
    resolved, ema = job.experiment, ema_file(job.steps)
    nets = _networks(job, images, device, stop)
    for mode in resolved.evaluate.modes:
        with atomic_file(job.folder / sample_file(mode)) as temporary:
            grid(nets, images, mode, resolved.model.image_size).save(temporary, format="png")
    values = evaluator.model(nets, progress=lambda pair: print(f"evaluating {pair}", flush=True))
    table = tabulate(values, resolved, job.variant, job.seed, job.steps, images.fingerprint, device, job.config_hash)
    rows.write(table, job.folder / ROWS)
    write_digests(job.folder, [ema, ROWS], config_hash=job.config_hash)


def _networks(job: Job, images: ImageSet, device: torch.device, stop: Stop | None) -> Networks:
    """The averaged networks: trained, or from the files of a training that was finished."""
    ema = ema_file(job.steps)
    if is_intact(job.folder, ema, config_hash=job.config_hash):
        nets = Networks(job.experiment.model, len(images.domains))
        checkpoints.load(nets, job.folder / ema, fan_weights=job.experiment.model.fan_weights)
        return nets.to(device)
    with stop.after_training_has_saved() if stop else nullcontext():
        nets = train(job.experiment, job.seed, images, job.folder, device, job.lineage, stop or (lambda: False))
    write_digests(job.folder, [ema], config_hash=job.config_hash)
    return nets


def reference_lines(experiment: Experiment, images: ImageSet, device: torch.device) -> pd.DataFrame:
    """Rows of the reference lines; fills the cache of real features that the runs then read."""
    if "reference" in experiment.evaluate.modes:
        refuse_too_few_references(images, experiment.evaluate)
    config_hash = training_hash(experiment, images.fingerprint, {})
    lines = Evaluator(experiment.evaluate, images, experiment.model.image_size, device).reference_lines()
    return pd.concat(
        [
            tabulate(values, experiment, line, 0, 0, images.fingerprint, device, config_hash)
            for line, values in lines.items()
            if values
        ]
        or [pd.DataFrame(columns=rows.COLUMNS)]
    )
