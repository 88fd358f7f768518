"""The state of training: networks, their moving average and their optimisers."""

from __future__ import annotations

import copy
import os
import shutil
from typing import Any

import torch
from torch.optim.swa_utils import get_ema_multi_avg_fn

from sg2bench import distributed
from sg2bench.config import Experiment
from sg2bench.keys import Train
from sg2bench.models.networks import Networks, build_discriminator
from sg2bench.training.compiled import Compiled


class State:
    """Networks, their moving average, the discriminator and an optimiser for each network that is trained."""

    def __init__(self, experiment: Experiment, num_domains: int, device: torch.device | str = "cpu") -> None:
        train = experiment.train
        self.nets = Networks(experiment.model, num_domains).to(device)
        self.discriminator = build_discriminator(experiment.model, num_domains).to(device)
        self.ema = copy.deepcopy(self.nets).requires_grad_(False)
        if "fan" in self.nets._modules:
            self.ema.fan = self.nets.fan  # not trained, so both can share it
        # If the whole batch has an image per domain, a single process computes all heads, and none stays unchanged.
        self.sparse_heads = train.sparse_heads and num_domains > train.batch_size
        self.precision, self.encoder_learns = train.precision, train.encoder_learns
        if train.compile is True:
            _refuse_few_images(train.batch_size, num_domains)
        self.compiled = Compiled() if train.compile is True else None
        self.ema_update = get_ema_multi_avg_fn(train.ema_decay)  # type: ignore[no-untyped-call]
        self.optimizers = {
            name: torch.optim.Adam(
                network.parameters(),
                train.mapping_learning_rate if name == "mapping_network" else train.learning_rate,
                (train.beta1, train.beta2),
                weight_decay=train.weight_decay,
                fused=True,
            )
            for name, network in (self.nets.trained() | {"discriminator": self.discriminator}).items()
        }

    def state_dict(self) -> dict[str, Any]:
        return {
            "nets": self.nets.state_dict(),
            "ema": self.ema.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.nets.load_state_dict(state["nets"])
        self.ema.load_state_dict(state["ema"])
        self.discriminator.load_state_dict(state["discriminator"])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])


def _refuse_few_images(batch_size: int, num_domains: int) -> None:
    processes = distributed.size()
    share = batch_size // processes
    if num_domains > share:
        among = f", {share} for each of {processes} processes" if processes > 1 else ""
        raise ValueError(
            f"train.compile: a compiled step computes the heads of all {num_domains} domains, which needs a batch of "
            f"that many images; train.batch_size is {batch_size}{among}"
        )


def compiling_pays(train: Train, num_domains: int, device: torch.device) -> bool:
    """Return whether a training with `compile: auto` saves more time by compiling than compiling takes.

    The number of steps decides, not of those left, so that a resumed run computes what it would have computed. A CPU
    needs a C++ compiler.
    """
    if train.compile != "auto" or num_domains > train.batch_size // distributed.size():
        return False
    if device.type == "cuda":
        return train.steps >= 500
    return train.steps >= 10_000 and shutil.which(os.environ.get("CXX", "g++")) is not None
