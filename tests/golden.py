"""The golden vectors: where they are, and the rules that make their weights and inputs."""

from __future__ import annotations

import json
import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

FOLDER = Path(os.environ.get("SG2BENCH_GOLDEN", Path(__file__).parents[2] / "shared" / "golden"))

needs_golden = pytest.mark.skipif(
    not (FOLDER / "manifest.json").is_file(), reason=f"no golden vectors in {FOLDER} (set SG2BENCH_GOLDEN)"
)


def manifest() -> dict[str, Any]:
    """The manifest, with no cases where there is none."""
    path = FOLDER / "manifest.json"
    return json.loads(path.read_text()) if path.is_file() else {"cases": [], "seed_string": ""}


def cases(kind: str) -> list[Any]:
    """All cases of a kind, as pytest parameters."""
    return [pytest.param(case, id=case["id"]) for case in manifest()["cases"] if case["kind"] == kind]


def _rng(*parts: str) -> np.random.RandomState:
    return np.random.RandomState(zlib.crc32((manifest()["seed_string"] + "".join(parts)).encode()))


def weight(network: str, key: str, shape: tuple[int, ...], gain: float = 2.0) -> torch.Tensor:
    n = _rng(":", network, ".", key).standard_normal(shape)
    if len(shape) > 1:
        value = n * np.sqrt(gain / np.prod(shape[1:]))
    else:
        value = 1 + 0.1 * n if key.endswith("weight") else 0.1 * n
    return torch.from_numpy(np.asarray(value))


def fill(module: nn.Module, network: str) -> nn.Module:
    """Give every tensor but the high-pass filter its golden value, in float64."""
    state = {
        key: value if key.endswith("hpf.filter") else weight(network, key, tuple(value.shape))
        for key, value in module.state_dict().items()
    }
    module.double().load_state_dict(state, strict=True)
    return module


def image(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    return torch.from_numpy(_rng(":input:", name).uniform(-1, 1, shape))


def latent(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    return torch.from_numpy(_rng(":input:", name).standard_normal(shape))


def mask(name: str, shape: tuple[int, ...]) -> torch.Tensor:
    return torch.from_numpy(_rng(":input:", name).uniform(0, 1, shape))
