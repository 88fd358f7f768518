"""The training loop of one run: batches in order, a log, checkpoints to go on from, to the same result."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import torch
from torch.utils.data import DataLoader

from sg2bench.config import Experiment
from sg2bench.data.batches import Batch, Batches
from sg2bench.data.images import ImageSet
from sg2bench.devices import true_float32
from sg2bench.files import add_digest
from sg2bench.layout import EARLIER_CHECKPOINT, LOG, STEPS
from sg2bench.models import checkpoints
from sg2bench.models.networks import Networks
from sg2bench.training import resume
from sg2bench.training.log import Log
from sg2bench.training.losses import diversity_weight
from sg2bench.training.state import State
from sg2bench.training.step import train_step


class StoppedError(Exception):
    """Training was asked to stop, and has saved."""


@true_float32()
def train(
    experiment: Experiment,
    seed: int,
    images: ImageSet,
    folder: Path,
    device: torch.device,
    lineage: str,
    stop: Callable[[], bool] = lambda: False,
) -> Networks:
    """Train a resolved experiment to its last step and return the averaged networks.

    Writes `train.csv` and, every `save_every` steps and at the end, a checkpoint that a later call resumes from, also
    with more steps; the averaged networks of the steps that are to be measured, in `steps/`; at the end
    `<steps>_nets_ema.ckpt` and `<steps>_nets.ckpt`. `stop` is asked after each step: training then saves and raises
    StoppedError. Raises ValueError if a loss is not finite, or if the checkpoint is of another `lineage`
    (`hashes.lineage_hash`).
    """
    torch.manual_seed(seed)
    settings, kept = experiment.train, set(experiment.train.evaluated_steps)
    state = _begin(experiment, len(images.domains), device)
    start = resume.resume(state, folder, settings.steps, lineage)
    log = Log(folder / LOG)
    log.truncate(start)
    for step, batch in enumerate(_batches(experiment, seed, images, device, start), start):
        ds_weight = diversity_weight(experiment.loss.ds, step, experiment.loss.ds_steps or settings.steps)
        terms = train_step(state, batch.to(device), experiment.loss, ds_weight)
        done = step + 1
        if done % settings.log_every == 0 or done == settings.steps:
            _log(log, done, ds_weight, terms)
        if done in kept:
            _keep(state, folder / STEPS, done, lineage)
        stopped = stop() and done < settings.steps
        if done % settings.save_every == 0 or done == settings.steps or stopped:
            resume.save(state, folder, done, lineage)
        if stopped:
            raise StoppedError
    checkpoints.save(state.nets, state.discriminator, folder, settings.steps)
    checkpoints.save_ema(state.ema, folder, settings.steps)
    (folder / EARLIER_CHECKPOINT).unlink(missing_ok=True)
    return state.ema


def _keep(state: State, folder: Path, step: int, lineage: str) -> None:
    """Write the averaged networks of a step: before the checkpoint that training goes on from."""
    add_digest(folder, checkpoints.save_ema(state.ema, folder, step).name, lineage=lineage)


def _begin(experiment: Experiment, num_domains: int, device: torch.device) -> State:
    """The state before the first step."""
    state = State(experiment, num_domains, device)
    if experiment.train.start_from:
        fan_weights = experiment.model.fan_weights
        checkpoints.load(state.nets, experiment.train.start_from, state.discriminator, fan_weights)
        state.ema.load_state_dict(state.nets.state_dict())
    elif experiment.model.w_hpf:
        checkpoints.load_fan(state.nets, experiment.model.fan_weights)
    return state


def _batches(
    experiment: Experiment, seed: int, images: ImageSet, device: torch.device, start: int
) -> DataLoader[Batch]:
    settings, model = experiment.train, experiment.model
    sizes = settings.batch_size, model.image_size, model.latent_dim
    batches = Batches(images, seed, *sizes, settings.crop_probability, settings.mirror)
    return DataLoader(
        batches,
        batch_size=None,
        sampler=range(start, settings.steps),
        num_workers=settings.loader_workers,
        worker_init_fn=_ignore_signals,
        pin_memory=device.type == "cuda",
    )


def _ignore_signals(worker: int) -> None:
    """Loaders end with their trainer, which may want another batch when a terminal interrupts them all."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _log(log: Log, step: int, ds_weight: float, terms: dict[str, torch.Tensor]) -> None:
    values = dict(zip(terms, torch.stack(list(terms.values())).tolist(), strict=True))
    if bad := [name for name, value in values.items() if not abs(value) < float("inf")]:
        raise ValueError(f"step {step}: {bad[0]} is {values[bad[0]]}: training diverged; try a lower learning rate")
    log.append({"step": step, "ds_weight": ds_weight} | values)
