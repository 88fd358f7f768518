"""The training loop of one run: batches in order, a log, and checkpoints from which it resumes with the same result."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import torch
from torch.utils.data import DataLoader

from sg2bench import distributed
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

_LONG = 10_000
"""Steps from which compiling for a CPU pays: it takes some three minutes, and saves 0.04 s a step at 32 px, batch 8."""


class StoppedError(Exception):
    """Training was told to stop, and has saved."""


@true_float32()
def train(
    experiment: Experiment,
    seed: int,
    images: ImageSet,
    folder: Path,
    device: torch.device,
    lineage: str,
    stop: Callable[[], bool] = lambda: False,
    say: Callable[[str], None] = lambda _: None,
) -> Networks:
    """Train a resolved experiment to its last step and return the averaged networks.

    Files written: `train.csv`; every `save_every` steps and at the end, a checkpoint that a later call resumes from,
    also with more steps; in `steps/`, the averaged networks of the steps to be measured; at the end
    `<steps>_nets_ema.ckpt` and `<steps>_nets.ckpt`. `stop` is called after each step; if it is true, training saves and
    raises StoppedError. `say` is told when the step is compiled. Raises ValueError if a loss is not finite, or if the
    checkpoint has another `lineage` (`hashes.lineage_hash`).

    Several processes train as one: each on its share of every batch, and the first one writes. Raises ValueError if the
    shares would not be equal, or if `folder` does not have the same content for all.
    """
    torch.manual_seed(seed)
    settings, kept = experiment.train, set(experiment.train.evaluated_steps)
    state, start = distributed.together(_begin, experiment, len(images.domains), device, folder, lineage)
    distributed.together(_refuse_other_start, folder, distributed.gather(start))
    log, share = Log(folder / LOG), (distributed.rank(), distributed.size())
    distributed.from_first(log.truncate, start)
    if state.compiled is not None:
        distributed.from_first(
            say, "compiling the training step" + " takes minutes the first time" * (device.type == "cpu")
        )
    for step, batch in enumerate(_batches(experiment, seed, images, device, start), start):
        ds_weight = diversity_weight(experiment.loss.ds, step, experiment.loss.ds_steps or settings.steps)
        terms = train_step(state, batch.share(*share).to(device), experiment.loss, ds_weight)
        done = step + 1
        if step == start and state.compiled is not None:
            distributed.from_first(say, f"compiled it in {state.compiled.seconds:.0f} s")
        if done % settings.log_every == 0 or done == settings.steps:
            means = distributed.average(torch.stack(list(terms.values()))).tolist()
            distributed.from_first(_log, log, done, ds_weight, dict(zip(terms, means, strict=True)))
        if done in kept:
            state.catch_up()
            distributed.from_first(_keep, state, folder / STEPS, done, lineage)
        stopped = stop() and done < settings.steps
        if done % settings.save_every == 0 or done == settings.steps or stopped:
            distributed.from_first(resume.save, state, folder, done, lineage)
        if stopped:
            raise StoppedError
    state.catch_up()
    distributed.from_first(_finish, state, folder, settings.steps)
    return state.ema


def _finish(state: State, folder: Path, steps: int) -> None:
    checkpoints.save(state.nets, state.discriminator, folder, steps)
    checkpoints.save_ema(state.ema, folder, steps)
    (folder / EARLIER_CHECKPOINT).unlink(missing_ok=True)


def _refuse_other_start(folder: Path, starts: list[int]) -> None:
    if len(set(starts)) > 1:
        raise ValueError(
            f"{folder}: one process found a checkpoint of step {min(starts)}, another one of step {max(starts)}; "
            "--runs must be a folder that all machines share"
        )


def _keep(state: State, folder: Path, step: int, lineage: str) -> None:
    """Write the averaged networks of a step, before the checkpoint from which training resumes."""
    add_digest(folder, checkpoints.save_ema(state.ema, folder, step).name, lineage=lineage)


def _begin(
    experiment: Experiment, num_domains: int, device: torch.device, folder: Path, lineage: str
) -> tuple[State, int]:
    """Return the state in the last checkpoint, and its step; without one, the initial state and 0."""
    if experiment.train.batch_size % distributed.size():
        raise ValueError(
            f"train.batch_size: {experiment.train.batch_size} images cannot be shared equally by {distributed.size()} "
            "processes; make it a multiple, or start fewer"
        )
    state = State(experiment, num_domains, device, long=experiment.train.steps >= _LONG)
    if experiment.train.start_from:
        fan_weights = experiment.model.fan_weights
        checkpoints.load(state.nets, experiment.train.start_from, state.discriminator, fan_weights)
        state.ema.load_state_dict(state.nets.state_dict())
    elif experiment.model.w_hpf:
        checkpoints.load_fan(state.nets, experiment.model.fan_weights)
    return state, resume.resume(state, folder, experiment.train.steps, lineage)


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
    """Keep a loader alive when a terminal interrupts all processes: the trainer may want another batch, and ends it
    later.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _log(log: Log, step: int, ds_weight: float, terms: dict[str, float]) -> None:
    if bad := [name for name, value in terms.items() if not abs(value) < float("inf")]:
        raise ValueError(f"step {step}: {bad[0]} is {terms[bad[0]]}: training diverged; try a lower learning rate")
    log.append({"step": step, "ds_weight": ds_weight} | terms)
