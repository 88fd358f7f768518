"""The training loop of one run: batches in order, a log, checkpoints to go on from, to the same result."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch.utils.data import DataLoader

from sg2bench import cache
from sg2bench.config import Experiment
from sg2bench.data.batches import Batches
from sg2bench.data.images import ImageSet
from sg2bench.models import checkpoints
from sg2bench.models.networks import Networks
from sg2bench.training.losses import diversity_weight
from sg2bench.training.step import State, train_step

LOG = "train.csv"
_CHECKPOINT = "checkpoint.pt"


@dataclass
class _Log:
    """Lines of loss terms, appended to a CSV as they come; the first line decides the columns."""

    path: Path

    def truncate(self, step: int) -> None:
        """Forget lines after `step`: their steps will be trained anew."""
        if self.path.is_file() and self.path.stat().st_size:
            header, *lines = self.path.read_text(encoding="utf-8").splitlines(keepends=True)
            kept = [line for line in lines if line.endswith("\n") and int(line.split(",")[0]) <= step]
            with cache.atomic_file(self.path) as temporary:
                temporary.write_text("".join([header, *kept]), encoding="utf-8")

    def append(self, line: dict[str, float]) -> None:
        with self.path.open("a+", encoding="utf-8", newline="") as file:
            if file.tell() == 0:
                file.write(",".join(line) + "\n")
            file.seek(0)
            columns = file.readline().rstrip("\n").split(",")
            file.write(",".join(f"{line[c]:.6g}" if c in line else "" for c in columns) + "\n")


def train(
    experiment: Experiment, seed: int, images: ImageSet, folder: Path, device: torch.device, config_hash: str
) -> Networks:
    """Train a resolved experiment to its last step and return the averaged networks.

    Writes `train.csv` and, every `save_every` steps, a checkpoint that a later call goes on from; at the end
    `<steps>_nets_ema.ckpt` and `<steps>_nets.ckpt`, and the checkpoint is removed. Raises ValueError if a loss is not
    finite, or if the checkpoint is of another `config_hash`.
    """
    torch.manual_seed(seed)
    settings = experiment.train
    state = State(experiment, len(images.domains), device)
    final = folder / f"{settings.steps:06d}_nets_ema.ckpt"
    if final.is_file():
        (folder / _CHECKPOINT).unlink(missing_ok=True)
        checkpoints.load(state.ema, final)
        return state.ema
    if settings.start_from:
        checkpoints.load(state.nets, settings.start_from, state.discriminator, experiment.model.fan_weights)
        state.ema.load_state_dict(state.nets.state_dict())
    elif experiment.model.w_hpf:
        checkpoints.load_fan(state.nets, experiment.model.fan_weights)
    start = _resume(state, folder / _CHECKPOINT, config_hash)
    log = _Log(folder / LOG)
    log.truncate(start)
    batches = Batches(
        images,
        seed,
        settings.batch_size,
        experiment.model.image_size,
        experiment.model.latent_dim,
        settings.crop_probability,
    )
    loader = DataLoader(
        batches,
        batch_size=None,
        sampler=range(start, settings.steps),
        num_workers=settings.loader_workers,
        pin_memory=device.type == "cuda",
    )
    for step, batch in enumerate(loader, start):
        ds_weight = diversity_weight(experiment.loss.ds, step, experiment.loss.ds_steps or settings.steps)
        terms = train_step(state, batch.to(device), experiment.loss, ds_weight)
        done = step + 1
        if done % settings.log_every == 0 or done == settings.steps:
            _log(log, done, ds_weight, terms)
        if done % settings.save_every == 0 and done < settings.steps:
            _save(state, folder / _CHECKPOINT, done, config_hash)
    checkpoints.save(state.nets, state.discriminator, folder, settings.steps)
    checkpoints.save_ema(state.ema, folder, settings.steps)
    (folder / _CHECKPOINT).unlink(missing_ok=True)
    return state.ema


def _log(log: _Log, step: int, ds_weight: float, terms: dict[str, torch.Tensor]) -> None:
    values = dict(zip(terms, torch.stack(list(terms.values())).tolist(), strict=True))
    if bad := [name for name, value in values.items() if not abs(value) < float("inf")]:
        raise ValueError(f"step {step}: {bad[0]} is {values[bad[0]]}: training diverged; try a lower learning rate")
    log.append({"step": step, "ds_weight": ds_weight} | values)


def _save(state: State, path: Path, step: int, config_hash: str) -> None:
    with cache.atomic_file(path) as temporary:
        torch.save({"step": step, "config_hash": config_hash, "state": state.state_dict()}, temporary)


def _resume(state: State, path: Path, config_hash: str) -> int:
    """The step to go on from; 0 without a checkpoint."""
    if not path.is_file():
        return 0
    stored = torch.load(path, map_location="cpu", weights_only=True)
    if stored["config_hash"] != config_hash:
        raise ValueError(f"{path}: belongs to another configuration or other images; remove the folder to train anew")
    state.load_state_dict(stored["state"])
    return int(stored["step"])
