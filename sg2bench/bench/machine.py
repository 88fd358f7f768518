"""Measured limits of a device, and the cost of a computation."""

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
    """Measured limits of a device."""

    flops_per_second: float
    """Rate of a square matrix product."""
    bytes_per_second: float
    """Rate of a copy in memory, bytes read plus bytes written."""


class Work(NamedTuple):
    """Cost of a computation."""

    flops: int
    """Operations of convolutions and matrix products, by torch's counter."""
    bytes: int
    """Size of all operations' inputs and outputs, as if each went through memory: nothing fused or cached."""


@functools.cache
def ceiling(device: str, precision: str) -> Ceiling:
    """Measure the limits of a device, each as a median over half a second, with torch's current number of threads."""
    kind = torch.device(device).type
    side, size = _SIDE[kind], _COPIED[kind]
    a, b = (torch.randn(side, side, device=device).to(DTYPES[precision]) for _ in range(2))
    source = torch.empty(size, dtype=torch.uint8, device=device).fill_(1)
    target = torch.empty_like(source)
    product, copy = _seconds(device, lambda: a @ b), _seconds(device, lambda: target.copy_(source))
    return Ceiling(2 * side**3 / product, 2 * size / copy)


def _seconds(device: str, operation: Callable[[], object]) -> float:
    """Return the median time of calls over half a second, with at least 5 calls."""
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
    """Count the cost of a computation by running it."""
    with FlopCounterMode(display=False) as counter, _Traffic() as traffic:
        computation()
    return Work(counter.get_total_flops(), traffic.bytes)


def peak_mib(device: str, computation: Callable[[], object]) -> float:
    """Return the peak memory in MiB that a computation allocates.

    On a GPU it is torch's count, on a CPU the growth of the process (Linux only, else NaN).
    """
    if torch.device(device).type == "cuda":
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        computation()
        return (torch.cuda.max_memory_allocated(device) - before) / 2**20
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)  # return free memory, as its reuse would not show
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # resets VmHWM
    except (OSError, AttributeError):
        return float("nan")
    resident = resident_mib("VmRSS")
    computation()
    return resident_mib("VmHWM") - resident


def resident_mib(name: str) -> float:
    """Return the memory of this process in MiB: current (`VmRSS`) or peak (`VmHWM`). Linux only."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines())
    return int(status[name].split()[0]) / 1024


def clock_mhz(device: str) -> float:
    """Return the device's current clock, averaged over cores; NaN if it cannot be read."""
    try:
        if torch.device(device).type == "cuda":
            return float(torch.cuda.clock_rate(device))
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        clocks = [float(line.split(":")[1]) for line in lines if line.startswith("cpu MHz")]
        return sum(clocks) / len(clocks)
    except (OSError, ImportError, RuntimeError, ZeroDivisionError):
        return float("nan")


def precisions(device: str) -> list[str]:
    """Return the precisions that a device computes natively."""
    if torch.device(device).type == "cuda":
        return ["float32", *["bf16"] * torch.cuda.is_bf16_supported(including_emulation=False)]
    cpuinfo = Path("/proc/cpuinfo")
    flags = cpuinfo.read_text(encoding="utf-8") if cpuinfo.is_file() else ""
    return ["float32", *["bf16"] * ("avx512_bf16" in flags or "amx_bf16" in flags)]
