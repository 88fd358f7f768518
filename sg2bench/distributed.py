"""One run in several processes, as torchrun starts them. In a single process, nothing here costs time.

Tensors on GPUs are averaged by NCCL. All else goes over Gloo: a lost process closes its connections, and the others
notice within seconds.
"""

from __future__ import annotations

import atexit
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any, ParamSpec, TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn

_PATIENCE = timedelta(hours=2)
"""Wait this long for a process that is still evaluating its share, or drawing pictures."""
P = ParamSpec("P")
S = TypeVar("S")
T = TypeVar("T")
_joined = False
"""Whether `joined` is active. A process group alone may belong to a program that calls sg2bench in one of its
processes.
"""


class _EndedError(SystemExit):
    """This process ends silently, because another one reports why the run ends."""


@contextmanager
def joined() -> Iterator[None]:
    """Work together with the other processes that torchrun started, if there are any. Only the first one warns."""
    global _joined  # noqa: PLW0603
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield
        return
    # Imported later, by the optimisers, it would keep the group. Gloo's threads would then outlive the interpreter, and
    # could abort the process.
    import torch._dynamo  # noqa: PLC0415

    backends = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    dist.init_process_group(backends, timeout=_PATIENCE)
    _joined = True
    if rank():
        warnings.simplefilter("ignore")
    try:
        yield
    except BaseException as error:
        if isinstance(error, _EndedError):
            with suppress(RuntimeError):  # wait until that process has ended: once one ends, torchrun ends all others
                dist.all_reduce(torch.zeros(1))
        atexit.register(_leave, error.code if isinstance(error, SystemExit) and isinstance(error.code, int) else 1)
        raise
    finally:
        _joined = False
    dist.destroy_process_group()


def _leave(code: int) -> None:
    """End this process immediately: destroying a process group may hang if another process is lost."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def refuse(command: str) -> None:
    """Raise ValueError if torchrun started several processes, which would all do the same work."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ValueError(
            f"{command} uses one process; torchrun is for `sg2bench run`. To train several runs in parallel: "
            "`sg2bench ablate --workers N`; each on several GPUs: --set resources.gpus=N"
        )


def size() -> int:
    """Return the number of processes of this run."""
    return dist.get_world_size() if _joined else 1


def rank() -> int:
    """Return the number of this process, from 0."""
    return dist.get_rank() if _joined else 0


def together(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call `function` in every process. If it raises ValueError or OSError in any of them, all end: the first of these
    with its error, the others silently.
    """
    if size() == 1:
        return function(*args, **kwargs)
    error: Exception | None = None
    try:
        result = function(*args, **kwargs)
    except (ValueError, OSError) as caught:
        error = caught
    failed = [place for place, bad in enumerate(gather(error is not None)) if bad]
    if error is not None and failed[0] == rank():
        raise error
    if failed:
        raise _EndedError(1)
    return result


def from_first(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call `function` in the first process; all wait for its result, and end if it fails (see `together`)."""
    if size() == 1:
        return function(*args, **kwargs)
    result: Any = together(function, *args, **kwargs) if rank() == 0 else together(lambda: None)
    results = [result]
    with _peers_needed():
        dist.broadcast_object_list(results, 0)
    return cast(T, results[0])


def map_items(function: Callable[[S], T], items: Sequence[S]) -> list[T]:
    """Return the results of `function` for all items, in order; each process computes a share of them."""
    place, number = rank(), size()
    shares = gather(together(lambda: [function(item) for item in items[place::number]]))
    return [shares[index % number][index // number] for index in range(len(items))]


def gather(value: T) -> list[T]:
    """Return the values of all processes."""
    if size() == 1:
        return [value]
    values: list[T] = [value] * size()
    with _peers_needed():
        dist.all_gather_object(values, value)
    return values


def average(values: Tensor) -> Tensor:
    """Replace values by their means over the processes, identical in all of them; return them."""
    if size() == 1:
        return values
    with _peers_needed():
        dist.all_reduce(values)
    return values.div_(size())


def average_gradients(weights: Sequence[nn.Parameter]) -> None:
    """Replace gradients by their means over the processes, all in one buffer.

    A gradient that some processes lack counts as zero there; one that all lack stays missing.
    """
    if size() == 1:
        return
    known = torch.tensor([weight.grad is not None for weight in weights], dtype=torch.uint8)
    with _peers_needed():
        dist.all_reduce(known, dist.ReduceOp.MAX)
    learning = [weight for weight, is_known in zip(weights, known.tolist(), strict=True) if is_known]
    if not learning:
        return
    gradients = [torch.zeros_like(weight) if weight.grad is None else weight.grad for weight in learning]
    means = average(torch.cat([gradient.flatten() for gradient in gradients]))
    parts = torch.split(means, [gradient.numel() for gradient in gradients])
    for weight, gradient, part in zip(learning, gradients, parts, strict=True):
        weight.grad = gradient.copy_(part.view_as(gradient))  # keeps its memory layout


@contextmanager
def _peers_needed() -> Iterator[None]:
    """If a process is lost in the block, raise ConnectionError in the first process, and end the others."""
    try:
        yield
    except RuntimeError as error:
        if rank():
            raise _EndedError(1) from error
        reason = str(error).splitlines()[0]
        raise ConnectionError(
            f"another process of this run ended; the same command resumes from the last checkpoint ({reason})"
        ) from error
