"""Files of tensors, written and read: a full disk is an OSError, and a file is not believed more than it holds."""

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
"""In a file of the older kind: magic number, version, machine, content, names of storages."""
_LONGEST_NAME = 200
FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
_INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)


def save(content: object, path: Path, **options: Any) -> None:
    """Write what `load` reads. Raises OSError, where `torch.save` has RuntimeError, if that fails."""
    with path.open("wb") as file:
        # Without its number, by which torch would write around Python and lose the system's error.
        plain = SimpleNamespace(write=file.write, flush=file.flush)
        try:
            torch.save(content, plain, **options)
        except RuntimeError as error:
            if isinstance(cause := error.__context__, OSError):
                raise OSError(cause.errno, cause.strerror, str(path)) from error
            raise OSError(errno.EIO, str(error).splitlines()[0], str(path)) from error


def load(path: Path) -> Any:
    """What a file holds, on the CPU. Raises ValueError that names the file; no code of it is run."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise ValueError(f"{path}: not a regular file")
    try:
        refuse_compressed(path)
        _refuse_long_names(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of kinds of tensors that `refuse_odd` names
            return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror if path.exists() else 'no such checkpoint'}") from None
    except Exception:  # torch raises many kinds for files that are not checkpoints
        raise ValueError(
            f"{path}: not a checkpoint that can be loaded safely: it is damaged, cut off, compressed, of another kind, "
            "or holds code (none of it was run)"
        ) from None


def refuse_compressed(path: Path) -> None:
    """Raise ValueError for a zip archive that holds more than its own size: torch's and numpy's never do."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > path.stat().st_size:
                raise ValueError(f"{path}: is compressed")


def _refuse_long_names(path: Path) -> None:
    """Raise ValueError for a pickle that asks for a class of a name that no class has: torch would search its own error
    message for patterns, which takes minutes if that name is 60,000 characters of a damaged file.
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
                    raise ValueError(f"{path}: asks for {str(argument)[:_LONGEST_NAME]}")


def is_state(content: object) -> TypeGuard[dict[str, Tensor]]:
    """Whether this is a state dict: tensors by name."""
    return isinstance(content, Mapping) and all(
        isinstance(key, str) and isinstance(value, Tensor) for key, value in content.items()
    )


def oddity(tensor: Tensor) -> str:
    """Why a tensor is not simply an array of numbers; empty if it is."""
    if tensor.is_nested or tensor.layout != torch.strided:
        return "is sparse or nested"
    if tensor.is_quantized:
        return "is quantised"
    return "is a meta tensor, which has no numbers" if tensor.is_meta else ""


def refuse_odd(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Raise ValueError if a file's tensors are not arrays of numbers, or have more numbers than the file."""
    claimed, size = 0, path.stat().st_size
    for name, tensor in tensors.items():
        if odd := oddity(tensor):
            raise ValueError(f"{path}: `{name}` {odd}; expected an array of numbers")
        claimed += tensor.numel() * tensor.itemsize
        if claimed > size:  # an expanded view repeats one number as often as it likes
            raise ValueError(
                f"{path}: up to `{name}` {tuple(tensor.shape)}, tensors have {claimed} bytes, and the file {size}; "
                "save copies of views"
            )


def as_expected(name: str, tensor: Tensor, expected: Tensor, path: Path) -> Tensor:
    """A file's numbers as a network needs them; floats of another precision are converted.

    Raises ValueError for integers in place of floats and the like, for NaN, and for infinity.
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
