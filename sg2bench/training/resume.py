"""States of a training on disk: to go on from after an interruption, or with more steps."""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path
from typing import Any

import torch

from sg2bench.files import atomic_file
from sg2bench.layout import CHECKPOINT, EARLIER_CHECKPOINT
from sg2bench.training.step import State


def save(state: State, folder: Path, step: int, lineage: str) -> None:
    """Write the checkpoint of a step; the one before it is kept, in case this one is damaged."""
    path = folder / CHECKPOINT
    with atomic_file(path) as temporary:
        torch.save({"step": step, "lineage": lineage, "state": state.state_dict()}, temporary)
        if path.is_file():
            path.replace(folder / EARLIER_CHECKPOINT)


def resume(state: State, folder: Path, steps: int, lineage: str) -> int:
    """Load the last sound checkpoint that is not beyond `steps`; returns its step, 0 if there is none.

    Warns of a damaged file. Raises ValueError for a checkpoint of another training (`lineage`).
    """
    for path in (folder / CHECKPOINT, folder / EARLIER_CHECKPOINT):
        if not path.is_file():
            continue
        try:
            stored = _read(path)
            step, found = int(stored["step"]), stored["lineage"]
        except Exception as error:  # torch and zipfile raise many kinds for files that are cut off or overwritten
            warnings.warn(f"{path} is damaged ({_first_line(error)}) and left out", stacklevel=2)
            continue
        if found != lineage:
            raise ValueError(f"{path}: is of another configuration or other images; remove the folder to start again")
        if step <= steps:
            _load(state, stored["state"], path)
            return step
    return 0


def _read(path: Path) -> dict[str, Any]:
    """What `save` wrote. Checks the checksums of the archive, which torch does not."""
    with zipfile.ZipFile(path) as archive:
        if (member := archive.testzip()) is not None:
            raise ValueError(f"the checksum of {member} is wrong")
    stored: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
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
