"""Operations and memory of a training step and of the generator, counted without computing them, on tensors without
data (`meta`).
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from sg2bench.config import Experiment, Model
from sg2bench.data.batches import Batch
from sg2bench.models.networks import Networks
from sg2bench.training import step
from sg2bench.training.state import State


class Counted(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the operations of convolutions and products, and the bytes of tensors created, while it is active."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.flops = self.bytes = self.peak = 0
        self._seen: weakref.WeakSet[torch.UntypedStorage] = weakref.WeakSet()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self._seen.update(_storages((args, kwargs)))
        result = function(*args, **(kwargs or {}))
        if function.overloadpacket in flop_registry:
            self.flops += flop_registry[function.overloadpacket](*args, **(kwargs or {}), out_val=result)
        for storage in _storages(result):
            if storage not in self._seen:
                self._seen.add(storage)
                self.bytes += storage.nbytes()
                weakref.finalize(storage, self._freed, storage.nbytes())
        self.peak = max(self.peak, self.bytes)
        return result

    def _freed(self, size: int) -> None:
        self.bytes -= size


def _storages(tree: Any) -> list[torch.UntypedStorage]:
    return [leaf.untyped_storage() for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)]


class Cost(NamedTuple):
    """The cost of a training step."""

    flops: int
    """Operations of convolutions and products."""
    trained: int
    """Bytes of the weights that are trained."""
    average: int
    """Bytes of their moving average, which has no discriminator."""
    fixed: int
    """Bytes of the face-alignment network, which is not trained and is in every file."""
    peak: int
    """Peak bytes of everything else in a step, including gradients, but without the workspaces of kernels."""

    @property
    def state(self) -> int:
        """Return the bytes of the weights, their moving average and Adam's two moments: the content of a checkpoint."""
        return 3 * self.trained + self.average + self.fixed


def training(
    settings: Experiment, num_domains: int = 2, train_step: Callable[[State, Batch], object] | None = None
) -> Cost:
    """Count an eager training step: ours, or another `train_step`."""
    settings = settings.model_copy(update={"train": settings.train.model_copy(update={"compile": False})})
    n, side, latent = settings.train.batch_size, settings.model.image_size, settings.model.latent_dim
    with patch("torch.optim.Adam", _Idle), torch.device("meta"):
        state = State(settings, num_domains, "meta")
    images = [torch.empty(n, 3, side, side) for _ in range(3)]
    label, code = torch.zeros(n, dtype=torch.int64), torch.empty(n, latent)
    batch = Batch(images[0], label, images[1], images[2], label, code, code, torch.empty(n)).to(torch.device("meta"))
    average, discriminator = _bytes(*state.nets.trained().values()), _bytes(state.discriminator)
    with _without_what_meta_lacks(), Counted() as counted:
        if train_step is None:
            step.train_step(state, batch, settings.loss, settings.loss.ds)
        else:
            train_step(state, batch)
    return Cost(counted.flops, average + discriminator, average, _bytes(state.nets) - average, counted.peak)


def _bytes(*networks: nn.Module) -> int:
    return sum(weight.nbytes for network in networks for weight in network.parameters())


def generator(model: Model, num_domains: int) -> tuple[int, int]:
    """Count the operations of encoding one image, and of decoding it in one style."""
    with torch.device("meta"):
        nets = Networks(model, num_domains)
        image = torch.empty(1, 3, model.image_size, model.image_size)
        latent, label = torch.empty(1, model.latent_dim), torch.zeros(1, dtype=torch.int64)
    with _without_what_meta_lacks(), torch.no_grad():
        style = nets.latent_style(latent, label)
        with Counted() as encoding:
            encoded = nets.encode(image)
        with Counted() as decoding:
            nets.decode(encoded, style)
    return encoding.flops, decoding.flops


@contextmanager
def _without_what_meta_lacks() -> Iterator[None]:
    """Replace functions that `meta` lacks: there is no autocast, no value can be fetched, and all labels are assumed to
    differ.
    """
    with (
        patch("torch.autocast", _autocast),
        patch("torch.Tensor.item", lambda _: 0.0),
        patch(
            "torch.unique", lambda labels, **_: (torch.arange(len(labels)), torch.ones(len(labels), dtype=torch.int64))
        ),
    ):
        yield


class _Casts(TorchFunctionMode):
    """Does what autocast to bfloat16 does on a GPU, for the expensive operations of our networks."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function in (F.conv2d, F.conv_transpose2d, F.linear):
            args = [each.bfloat16() if isinstance(each, torch.Tensor) else each for each in args]
        return function(*args, **(kwargs or {}))


def _autocast(device: str, dtype: Any = None, enabled: bool = True, cache_enabled: bool = True) -> Any:
    return _Casts() if enabled else torch._C.DisableTorchFunction()


class _Idle(torch.optim.Optimizer):
    """An optimiser that changes nothing."""

    def __init__(self, weights: Iterable[torch.Tensor], *_: Any, **__: Any) -> None:
        super().__init__(weights, {})

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        pass
