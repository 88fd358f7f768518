"""Checkpoints of the training state, to resume after an interruption or to train for more steps."""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch

from sg2bench import tensor_files
from sg2bench.files import atomic_file
from sg2bench.layout import CHECKPOINT, EARLIER_CHECKPOINT
from sg2bench.training.state import State


def save(state: State, folder: Path, step: int, lineage: str) -> None:
    """Write the checkpoint of a step; keep the previous intact one, in case this one gets damaged."""
    path = folder / CHECKPOINT
    with atomic_file(path) as temporary:
        tensor_files.save({"step": step, "lineage": lineage, "state": state.state_dict()}, temporary)
        if path.is_file() and _damage(path) is None:
            path.replace(folder / EARLIER_CHECKPOINT)


def resume(state: State, folder: Path, steps: int, lineage: str) -> int:
    """Load the last intact checkpoint that is not beyond `steps`; return its step, or 0 without one.

    Warns about damaged files. Raises ValueError for a checkpoint of another training (`lineage`), and OSError for one
    that is unreadable.
    """
    damaged, start = [], 0
    for path in (folder / CHECKPOINT, folder / EARLIER_CHECKPOINT):
        if not path.is_file():
            continue
        if (damage := _damage(path)) is not None:
            damaged.append(f"{path} is damaged ({damage}) and ignored")
            continue
        stored = _read(path)
        if stored["lineage"] != lineage:
            raise ValueError(f"{path}: has another configuration or other images; remove the folder to start again")
        if stored["step"] <= steps:
            _load(state, stored["state"], path)
            start = stored["step"]
            break
    for message in damaged:
        warnings.warn(f"{message}; training starts at step {start}", stacklevel=2)
    return start


def trained_steps(folder: Path) -> int:
    """Return the step of the last intact checkpoint, or 0."""
    for path in (folder / CHECKPOINT, folder / EARLIER_CHECKPOINT):
        if path.is_file() and _damage(path) is None:
            return int(_read(path, mmap=True)["step"])
    return 0


def _damage(path: Path) -> str | None:
    """Return why a file is not what `save` wrote, or None. Verifies the archive's checksums, which torch does not."""
    try:
        tensor_files.refuse_compressed(path)
        with zipfile.ZipFile(path) as archive:
            if (member := archive.testzip()) is not None:
                return f"the checksum of {member} is wrong"
        stored = _read(path, mmap=True)
        if [type(stored[key]) for key in ("step", "lineage", "state")] != [int, str, dict]:
            return "it is not a checkpoint"
    except (PermissionError, MemoryError):
        raise
    except Exception as error:  # torch and zipfile raise many kinds of exceptions for damaged files
        return _first_line(error)
    return None


def _read(path: Path, mmap: bool = False) -> dict[str, Any]:
    stored: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    return stored


def _load(state: State, stored: Any, path: Path) -> None:
    try:
        state.load_state_dict(stored)
    except (RuntimeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(
            f"{path}: does not fit the networks ({_first_line(error)}); remove the file to start again"
        ) from None


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
