"""Writing and safe reading of tensor files.

A full disk raises OSError. A file that claims more than it holds is refused.
"""

from __future__ import annotations

import errno
import pickletools
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeGuard

import torch
from torch import Tensor

_PICKLES = 5
"""Number of pickles in a legacy file: magic number, version, machine, content, names of storages."""
_LONGEST_NAME = 200
FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
_INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)


def save(content: object, path: Path, **options: Any) -> None:
    """Write a file for `load`. Raises OSError on failure, where `torch.save` raises RuntimeError."""
    with path.open("wb") as file:
        # Hide the file descriptor: torch would bypass Python's file and lose the system's error.
        plain = SimpleNamespace(write=file.write, flush=file.flush)
        try:
            torch.save(content, plain, **options)
        except RuntimeError as error:
            if isinstance(cause := error.__context__, OSError):
                raise OSError(cause.errno, cause.strerror, str(path)) from error
            raise OSError(errno.EIO, str(error).splitlines()[0], str(path)) from error


def load(path: Path) -> Any:
    """Load a file to the CPU without running code in it. Raises ValueError that names the file."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise ValueError(f"{path}: not a regular file")
    try:
        refuse_compressed(path)
        _refuse_long_names(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about kinds of tensors that `refuse_odd` reports
            return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror if path.exists() else 'no such checkpoint'}") from None
    except MemoryError:
        raise
    except Exception:  # torch raises many kinds of exceptions for files that are not checkpoints
        raise ValueError(
            f"{path}: not a checkpoint that can be loaded safely: the file is damaged, truncated, compressed, of "
            "another type, or contains code (none of it was run)"
        ) from None


def refuse_compressed(path: Path) -> None:
    """Raise ValueError for a zip archive that expands beyond its size; torch and numpy do not write any."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > path.stat().st_size:
                raise ValueError(f"{path}: is compressed")


def _refuse_long_names(path: Path) -> None:
    """Raise ValueError for a pickle with an absurdly long class name.

    Torch would search its error message for patterns, which takes minutes if the name is 60,000 characters of a damaged
    file.
    """
    with path.open("rb") as file:
        if file.read(2) == b"PK":
            with zipfile.ZipFile(path) as archive:
                pickles: list[Any] = [archive.read(name) for name in archive.namelist() if name.endswith("data.pkl")]
        else:
            file.seek(0)
            pickles = [file] * _PICKLES
        for each in pickles:
            for opcode, argument, _ in pickletools.genops(each):
                if opcode.name == "GLOBAL" and len(str(argument)) > _LONGEST_NAME:
                    raise ValueError(f"{path}: refers to {str(argument)[:_LONGEST_NAME]}")


def is_state(content: object) -> TypeGuard[dict[str, Tensor]]:
    """Return whether this is a state dict: tensors by name."""
    return isinstance(content, Mapping) and all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in content.items()
    )


def oddity(tensor: Tensor) -> str:
    """Return why a tensor is not a plain array of numbers; empty if it is one."""
    if tensor.is_nested or tensor.layout != torch.strided:
        return "is sparse or nested"
    if tensor.is_quantized:
        return "is quantised"
    return "is a meta tensor, which has no numbers" if tensor.is_meta else ""


def refuse_odd(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Raise ValueError if a file's tensors are not plain arrays of numbers, or claim more bytes than the file has."""
    claimed, size = 0, path.stat().st_size
    for name, tensor in tensors.items():
        if odd := oddity(tensor):
            raise ValueError(f"{path}: `{name}` {odd}; expected an array of numbers")
        claimed += tensor.numel() * tensor.itemsize
        if claimed > size:  # an expanded view can repeat a number without limit
            raise ValueError(
                f"{path}: tensors up to `{name}` {tuple(tensor.shape)} need {claimed} bytes, but the file has only "
                f"{size}; clone views before saving"
            )


def as_expected(name: str, tensor: Tensor, expected: Tensor, path: Path) -> Tensor:
    """Convert a file's tensor to the dtype that a network expects.

    Raises ValueError for a wrong kind, such as integers for floats, for NaN, and for infinity.
    """
    accepted = FLOATS if expected.is_floating_point() else _INTEGERS
    if tensor.dtype not in accepted:
        kinds = f"{str(tensor.dtype).removeprefix('torch.')}, expected {str(expected.dtype).removeprefix('torch.')}"
        raise ValueError(f"{path}: `{name}` is {kinds}")
    converted = tensor.to(expected.dtype)
    if not converted.isfinite().all():
        raise ValueError(
            f"{path}: `{name}` holds NaN or infinity: the training diverged, or the file is damaged; "
            "take an earlier checkpoint"
        )
    return converted
