"""Devices by name, and the numeric mode in which values are computed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import torch

from sg2bench import provenance


def device(name: str) -> torch.device:
    """Return the device `cpu`, `cuda`, `cuda:N`, or `auto`: a GPU if there is one. Raises ValueError if it is
    unavailable.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise ValueError(f"--device {name}: expected cpu, cuda, cuda:N or auto")
    found = torch.device(name)
    if found.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (found.index or 0) >= count:
            raise ValueError(
                f"--device {name}: torch sees {count or 'no'} CUDA device{'s' * (count != 1)}; use --device cpu"
            )
    return found


def of_this_process(names: str) -> torch.device:
    """Return this process's device; each process that torchrun started on this machine gets its own.

    `names` are those of `device`: several separated by commas, or `cuda` for all GPUs. Raises ValueError if there are
    fewer devices than processes.
    """
    place, processes = int(os.environ.get("LOCAL_RANK", "0")), int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if processes == 1:
        return device(names)
    several = names.split(",")
    if names in ("auto", "cpu", "cuda"):
        count = torch.cuda.device_count()
        several = [f"cuda:{index}" for index in range(count)] if device(names).type == "cuda" else ["cpu"] * processes
    if len(several) < processes:
        raise ValueError(
            f"--device {names}: {len(several)} device{'s' * (len(several) != 1)} for the {processes} processes that "
            f"torchrun started on this machine; use --nproc-per-node {len(several)}"
        )
    return device(several[place])


def slots(name: str, workers: int | None, gpus: float = 1, cpus: float = 1) -> list[str]:
    """Return a device for each parallel run: one per GPU, or one per `cpus` cores; `workers` of them if given.

    If a run takes only a share of a GPU, `gpus`, each GPU gets as many runs as fit. If it takes several, their names
    are joined by commas.

    Raises ValueError like `device`, and if there are fewer GPUs than a run takes.
    """
    if workers is not None and workers < 1:
        raise ValueError(f"--workers {workers}: expected 1 or more")
    chosen = device(name)
    if chosen.type == "cpu":
        return ["cpu"] * (workers or max(1, int(cores() / cpus)))
    found = [f"cuda:{index}" for index in range(torch.cuda.device_count())] if chosen.index is None else [str(chosen)]
    each = max(1, int(gpus))
    groups = [",".join(found[start : start + each]) for start in range(0, len(found) - each + 1, each)]
    if not groups:
        raise ValueError(
            f"resources.gpus: a run takes {each} GPUs, but --device {name} has {len(found)}; "
            f"set it to {len(found)} or less"
        )
    fitting = len(groups) * max(1, int(1 / gpus))
    return [groups[index % len(groups)] for index in range(workers or fitting)]


def cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def full_name(chosen: torch.device) -> str:
    """Return the name of the device in rows: the GPU's name, or `cpu` with the processor's."""
    if chosen.type == "cuda":
        return torch.cuda.get_device_name(chosen)
    return f"cpu ({provenance.processor()})"


@contextmanager
def true_float32() -> Iterator[None]:
    """Compute float32 products and convolutions in float32, as rows say, and not in a shorter format such as TF32."""
    backends: Any = torch.backends
    precisions = [
        *(backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn),
        *(backends.mkldnn.matmul, backends.mkldnn.conv, backends.mkldnn.rnn),
    ]
    before = [each.fp32_precision for each in precisions]
    matmul, cudnn = _older_settings()
    torch.set_float32_matmul_precision("highest")
    backends.cudnn.allow_tf32 = False
    for each in precisions:
        each.fp32_precision = "ieee"
    try:
        yield
    finally:
        if matmul is not None:
            torch.set_float32_matmul_precision(matmul)
        if cudnn is not None:
            backends.cudnn.allow_tf32 = cudnn
        for each, precision in zip(precisions, before, strict=True):
            each.fp32_precision = precision


def _older_settings() -> tuple[str | None, bool | None]:
    """Return torch's older settings for products and for cuDNN, None where the newer ones contradict them.

    Code that still reads the older settings, such as torch.compile, fails if they contradict each other.
    """
    matmul = cudnn = None
    with suppress(RuntimeError):
        matmul = torch.get_float32_matmul_precision()
    with suppress(RuntimeError):
        cudnn = torch.backends.cudnn.allow_tf32
    return matmul, cudnn
