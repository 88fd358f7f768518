"""Features of real images on disk, which are taken only if they are those that were kept."""

from __future__ import annotations

import hashlib
import warnings
from pathlib import Path

import numpy as np

from sg2bench.evaluation.measures.base import Pooled
from sg2bench.files import atomic_file
from sg2bench.tensor_files import refuse_compressed


def read(path: Path, images: int, dim: int) -> Pooled | None:
    """Features (images, dim) that `write` has kept, or None; with a warning, if the file holds anything else."""
    if not path.exists():
        return None
    try:
        refuse_compressed(path)
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            features: Pooled = stored["features"]
            intact = str(stored["sha256"]) == _digest(path, features)
    except PermissionError:
        raise
    except Exception:  # numpy and zipfile raise many kinds for files that are damaged
        intact = False
    if intact and features.shape == (images, dim) and features.dtype == np.float32 and np.isfinite(features).all():
        return features
    warnings.warn(f"{path}: not the features that were kept there; they are computed again", stacklevel=2)
    return None


def write(path: Path, features: Pooled) -> None:
    """Keep features with their digest."""
    with atomic_file(path) as temporary:
        np.savez(temporary, features=features, sha256=_digest(path, features))


def _digest(path: Path, features: Pooled) -> str:
    """Of the numbers and of the file's name, which says what they are features of."""
    return hashlib.sha256(path.stem.encode() + np.ascontiguousarray(features).tobytes()).hexdigest()
