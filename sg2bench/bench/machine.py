"""What a device can do at most, and what a computation asks of it."""

from __future__ import annotations

import ctypes
import functools
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

DTYPES = {"float32": torch.float32, "bf16": torch.bfloat16}
_SIDE = {"cpu": 1024, "cuda": 8192}
_COPIED = {"cpu": 2**26, "cuda": 2**30}


class Ceiling(NamedTuple):
    """What a device was measured to do at most."""

    flops_per_second: float
    """Of a square matrix product."""
    bytes_per_second: float
    """Read and written by a copy in memory."""


class Work(NamedTuple):
    """What a computation asks for."""

    flops: int
    """Of convolutions and matrix products, by torch's counter."""
    bytes: int
    """Of every operation's inputs and outputs, if each goes through memory: nothing fused, nothing in a cache."""


@functools.cache
def ceiling(device: str, precision: str) -> Ceiling:
    """Median over half a second each, with the threads that torch has now."""
    kind = torch.device(device).type
    side, size = _SIDE[kind], _COPIED[kind]
    a, b = (torch.randn(side, side, device=device).to(DTYPES[precision]) for _ in range(2))
    source = torch.empty(size, dtype=torch.uint8, device=device).fill_(1)
    target = torch.empty_like(source)
    product, copy = _seconds(device, lambda: a @ b), _seconds(device, lambda: target.copy_(source))
    return Ceiling(2 * side**3 / product, 2 * size / copy)


def _seconds(device: str, operation: Callable[[], object]) -> float:
    """Median over half a second of calls, and over 5 at least."""
    taken: list[float] = []
    operation()
    while len(taken) < 5 or sum(taken) < 0.5:
        synchronize(device)
        start = time.perf_counter()
        operation()
        synchronize(device)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def synchronize(device: str) -> None:
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)


class _Traffic(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bytes = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        if not function.is_view:
            tensors = [leaf for leaf in tree_leaves((args, kwargs, result)) if isinstance(leaf, Tensor)]
            self.bytes += sum(tensor.nbytes for tensor in tensors)
        return result


def work(computation: Callable[[], object]) -> Work:
    """Counted by calling it."""
    with FlopCounterMode(display=False) as counter, _Traffic() as traffic:
        computation()
    return Work(counter.get_total_flops(), traffic.bytes)


def peak_mib(device: str, computation: Callable[[], object]) -> float:
    """MiB that a computation has allocated at once, beyond what there was: on a GPU by torch's count, on a CPU by how
    much the process grew, on Linux only (else NaN).
    """
    if torch.device(device).type == "cuda":
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        computation()
        return (torch.cuda.max_memory_allocated(device) - before) / 2**20
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)  # gives back what is free, or it would be taken again unseen
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # forgets the highest so far
    except (OSError, AttributeError):
        return float("nan")
    resident = resident_mib("VmRSS")
    computation()
    return resident_mib("VmHWM") - resident


def resident_mib(name: str) -> float:
    """MiB of this process in memory: now (`VmRSS`), or at most so far (`VmHWM`). Linux only."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines())
    return int(status[name].split()[0]) / 1024


def clock_mhz(device: str) -> float:
    """The device's clock now, the mean over cores; NaN where it cannot be read."""
    try:
        if torch.device(device).type == "cuda":
            return float(torch.cuda.clock_rate(device))
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        clocks = [float(line.split(":")[1]) for line in lines if line.startswith("cpu MHz")]
        return sum(clocks) / len(clocks)
    except (OSError, ImportError, RuntimeError, ZeroDivisionError):
        return float("nan")


def precisions(device: str) -> list[str]:
    """Those that a device computes natively."""
    if torch.device(device).type == "cuda":
        return ["float32", *["bf16"] * torch.cuda.is_bf16_supported(including_emulation=False)]
    cpuinfo = Path("/proc/cpuinfo")
    flags = cpuinfo.read_text(encoding="utf-8") if cpuinfo.is_file() else ""
    return ["float32", *["bf16"] * ("avx512_bf16" in flags or "amx_bf16" in flags)]
