"""Cache of arrays on disk; damaged files are detected by their digest and ignored."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sg2bench.files import atomic_file
from sg2bench.tensor_files import refuse_compressed

Arrays = Mapping[str, NDArray[np.float32]]


def read(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> Arrays | None:
    """Read arrays of these names and shapes; return None without a file and, with a warning, if the file is damaged."""
    if not path.exists():
        return None
    try:
        refuse_compressed(path)
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays: Arrays = {name: stored[name] for name in shapes}
            intact = str(stored["sha256"]) == _digest(path, arrays)
    except PermissionError:
        raise
    except Exception:  # numpy and zipfile raise many kinds of exceptions for damaged files
        intact = False
    if intact and all(_is_sound(array, shapes[name]) for name, array in arrays.items()):
        return arrays
    warnings.warn(f"{path}: damaged or changed, so it is computed again", stacklevel=2)
    return None


def write(path: Path, arrays: Arrays) -> None:
    """Write float32 arrays with their digest."""
    content: dict[str, Any] = {**arrays, "sha256": _digest(path, arrays)}
    with atomic_file(path) as temporary:
        np.savez(temporary, **content)


def _is_sound(array: NDArray[np.float32], shape: tuple[int, ...]) -> bool:
    return array.shape == shape and array.dtype == np.float32 and bool(np.isfinite(array).all())


def _digest(path: Path, arrays: Arrays) -> str:
    """Return the digest of the arrays, sorted by name, and of the file's name, which identifies them."""
    contents = (np.ascontiguousarray(arrays[name]).tobytes() for name in sorted(arrays))
    return hashlib.sha256(path.stem.encode() + b"".join(contents)).hexdigest()
