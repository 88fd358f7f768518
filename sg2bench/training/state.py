"""The state of training: networks, their moving average and their optimisers."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterable
from typing import Any

import torch
from torch.optim.swa_utils import get_ema_multi_avg_fn

from sg2bench import distributed
from sg2bench.config import Experiment
from sg2bench.keys import Train
from sg2bench.models.networks import Networks, build_discriminator
from sg2bench.training.compiled import Compiled, laid_out_as, missing_to_compile


class State:
    """Networks, their moving average, the discriminator and an optimiser for each network that is trained.

    With `train.compile: auto`, steps are compiled for a CPU only if the training is `long`.
    """

    def __init__(
        self, experiment: Experiment, num_domains: int, device: torch.device | str = "cpu", long: bool = False
    ) -> None:
        train = experiment.train
        self.nets = Networks(experiment.model, num_domains).to(device)
        self.discriminator = build_discriminator(experiment.model, num_domains).to(device)
        self.ema = copy.deepcopy(self.nets).requires_grad_(False)
        if "fan" in self.nets._modules:
            self.ema.fan = self.nets.fan  # not trained, so both can share it
        # If the whole batch has an image per domain, a single process computes all heads, and none stays unchanged.
        self.sparse_heads = train.sparse_heads and num_domains > train.batch_size
        self.precision, self.encoder_learns = train.precision, train.encoder_learns
        self.compiled = Compiled() if _compiles(train, num_domains, torch.device(device), long) else None
        if self.compiled is not None and torch.device(device).type == "cpu":
            # Inductor convolves in this layout, and would convert contiguous weights at every call.
            for network in (*self.nets.trained().values(), self.discriminator):
                network.to(memory_format=torch.channels_last)
        self._decay = train.ema_decay
        self._average = get_ema_multi_avg_fn(train.ema_decay)  # type: ignore[no-untyped-call]
        headed = [
            name for name in ("mapping_network", "style_encoder") if self.sparse_heads and name in self.nets._modules
        ]
        self._behind = {name: [0] * num_domains for name in headed}
        """By how many steps the average of each head is behind, if heads may rest."""
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

    @torch.no_grad()
    def average(self) -> None:
        """Update the moving average after a step. That of a head that may rest waits for `catch_up`."""
        for name, network in self.nets.trained().items():
            average = dict(self.ema.get_submodule(name).named_parameters())
            current = {
                key: weight
                for key, weight in network.named_parameters()
                if name not in self._behind or not key.startswith("unshared.")
            }
            self._average([average[key] for key in current], list(current.values()), 0)
        self._behind = {name: [steps + 1 for steps in behind] for name, behind in self._behind.items()}

    @torch.no_grad()
    def catch_up(self, names: Iterable[str] = ("mapping_network", "style_encoder"), changing: bool = False) -> None:
        """Update the average of heads that are behind, or only of those of which the next update is `changing`.

        While a head rests, all steps of its average go towards the same weights, and so are one longer step.
        """
        for name in self._behind.keys() & set(names):
            heads = (module.get_submodule(f"{name}.unshared").children() for module in (self.ema, self.nets))
            for place, (average, head) in enumerate(zip(*heads, strict=True)):
                weights = list(head.parameters())
                if not changing or any(weight.grad is not None for weight in weights):
                    share = 1 - self._decay ** self._behind[name][place]
                    torch._foreach_lerp_(list(average.parameters()), weights, share)
                    self._behind[name][place] = 0

    def state_dict(self) -> dict[str, Any]:
        return {
            "behind": self._behind,
            "nets": self.nets.state_dict(),
            "ema": self.ema.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._behind |= state.get("behind", {})
        self.nets.load_state_dict(state["nets"])
        self.ema.load_state_dict(state["ema"])
        self.discriminator.load_state_dict(state["discriminator"])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
            for weight, moments in optimizer.state.items():
                moments.update({key: laid_out_as(weight, value) for key, value in moments.items() if value.ndim})


def _compiles(train: Train, num_domains: int, device: torch.device, long: bool) -> bool:
    """Return whether to compile the step. Raises ValueError if that was requested but is impossible."""
    processes = distributed.size()
    share = train.batch_size // processes
    if train.compile is True and num_domains > share:
        among = f", {share} for each of {processes} processes" if processes > 1 else ""
        raise ValueError(
            f"train.compile: a compiled step computes the heads of all {num_domains} domains, which needs a batch of "
            f"that many images; train.batch_size is {train.batch_size}{among}"
        )
    if train.compile is False or num_domains > share:
        return False
    if device.type == "cuda":
        return True
    if train.compile == "auto":
        return long and sys.platform == "linux" and not missing_to_compile()
    if missing := missing_to_compile():
        raise ValueError(f"train.compile: needs {missing}; install it, or set train.compile to false")
    return True
