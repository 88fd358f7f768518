"""What a training step computes and holds, counted without computing it, on tensors that are shapes alone (`meta`)."""

from __future__ import annotations

import weakref
from typing import NamedTuple
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from sg2bench.config import Experiment
from sg2bench.data.batches import Batch
from sg2bench.training import step
from sg2bench.training.state import State
from tools import naive
from tools.ways import PAPER


class Counted(TorchDispatchMode):
    """Operations of convolutions and products, and the bytes of the tensors that are made while it is entered."""

    def __init__(self):
        super().__init__()
        self.flops = self.bytes = self.peak = 0
        self.seen = weakref.WeakSet()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.seen.update(_storages((args, kwargs)))
        result = function(*args, **(kwargs or {}))
        if function.overloadpacket in flop_registry:
            self.flops += flop_registry[function.overloadpacket](*args, **(kwargs or {}), out_val=result)
        for storage in _storages(result):
            if storage not in self.seen:
                self.seen.add(storage)
                self.bytes += storage.nbytes()
                weakref.finalize(storage, self._freed, storage.nbytes())
        self.peak = max(self.peak, self.bytes)
        return result

    def _freed(self, size):
        self.bytes -= size


def _storages(tree):
    return [leaf.untyped_storage() for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)]


class _Casts(TorchFunctionMode):
    """As autocast to bfloat16 on a GPU, for what is costly in our networks."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if function in (F.conv2d, F.conv_transpose2d, F.linear):
            args = [a.bfloat16() if isinstance(a, torch.Tensor) else a for a in args]
        return function(*args, **(kwargs or {}))


def _autocast(device, dtype=None, enabled=True, cache_enabled=True):
    return _Casts() if enabled else torch._C.DisableTorchFunction()


class _Idle:
    """An optimiser of nothing."""

    def __init__(self, weights, *_, **__):
        self.weights = list(weights)

    def zero_grad(self, set_to_none=True):
        for weight in self.weights:
            weight.grad = None

    def step(self):
        pass


class Cost(NamedTuple):
    """What a training step asks for."""

    flops: int
    """Of convolutions and products."""
    fixed: int
    """Bytes of all weights, of their moving average and of Adam's two moments."""
    peak: int
    """Bytes of all else that a step holds at most, gradients among it; not what kernels need for themselves."""


def training(settings: Experiment, num_domains: int = 2, way: str = "ours") -> Cost:
    """A step, `ours` or `naive`."""
    n, side, latent = settings.train.batch_size, settings.model.image_size, settings.model.latent_dim
    with patch("torch.optim.Adam", _Idle), torch.device("meta"):
        state = State(settings, num_domains, "meta")
    some = [torch.empty(n, 3, side, side) for _ in range(3)]
    label, code = torch.zeros(n, dtype=torch.int64), torch.empty(n, latent)
    batch = Batch(some[0], label, some[1], some[2], label, code, code, torch.empty(n)).to("meta")
    trained, average = (
        sum(weight.nbytes for network in networks for weight in network.parameters())
        for networks in ((state.nets, state.discriminator), (state.ema,))
    )
    with patch("torch.autocast", _autocast), patch("torch.Tensor.item", lambda _: 0.0), Counted() as counted:
        if way == "naive":
            naive.train_step(state, batch, settings.loss, 1.0, settings.train.ema_decay)
        else:
            step.train_step(state, batch, settings.loss, 1.0)
    return Cost(counted.flops, 3 * trained + average, counted.peak)


def paper_gib() -> dict[tuple[str, str], float]:
    """All that a step at the paper's settings holds at most, by way and precision."""
    gib = {}
    for way, precision in (("naive", "float32"), ("ours", "float32"), ("ours", "bf16")):
        train = PAPER.train.model_copy(update={"precision": precision})
        cost = training(PAPER.model_copy(update={"train": train}), 3, way)
        gib[way, precision] = (cost.fixed + cost.peak) / 2**30
    return gib
