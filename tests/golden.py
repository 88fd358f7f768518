"""The golden vectors: where they are, and the rules that make their weights and inputs."""

from __future__ import annotations

import functools
import json
import os
import re
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


def model(config: dict[str, Any]) -> dict[str, Any]:
    """The sizes of a case's networks, as an experiment's `model`."""
    return {
        "image_size": config["img_size"],
        "max_width": config["max_conv_dim"],
        "style_dim": config["style_dim"],
        "latent_dim": config["latent_dim"],
        "w_hpf": config.get("w_hpf", 0),
    }


def cases(kind: str, suffix: str = "") -> list[Any]:
    """All cases of a kind (whose file ends in `suffix`), as pytest parameters; slow are those of 256 px, and all
    trainings but `base`.
    """
    return [
        pytest.param(case, id=case["id"], marks=[pytest.mark.slow] if _is_slow(case) else [])
        for case in manifest()["cases"]
        if case["kind"] == kind and case["file"].endswith(suffix)
    ]


def _is_slow(case: dict[str, Any]) -> bool:
    return case["config"].get("img_size", 0) >= 256 or (case["kind"] == "training" and case["id"] != "base")


def first(parameters: list[Any]) -> list[Any]:
    """Only the first case runs by default, the others among the slow tests: a minute each."""
    return parameters[:1] + [pytest.param(*p.values, id=p.id, marks=[pytest.mark.slow]) for p in parameters[1:]]


def load(case: dict[str, Any]) -> Any:
    """What the file of a case holds: arrays by name, or the content of a JSON file."""
    path = FOLDER / case["file"]
    return np.load(path) if path.suffix == ".npz" else json.loads(path.read_text())


_TOKENS = re.compile(
    r"(?:(?P<factor>[\d.]+) ?\* ?)?(?P<law>uniform\([^)]*\)|standard_normal)"
    r"|'(?P<name>[^']+)'(?: \.\. '(?P<last>[^']+)')?"
    r"|shape \((?P<shape>[\d,]+)\)"
)


def inputs(case: dict[str, Any]) -> dict[str, list[torch.Tensor]]:
    """The tensors of each input of a case, in the order of the manifest."""
    return {key: list(tensors(text).values()) for key, text in case["inputs"].items()}


def tensors(text: str) -> dict[str, torch.Tensor]:
    """Inputs by name, from a text such as "3*uniform(-1,1), names 'a', 'b', shape (2,3)", which may list several."""
    made: dict[str, torch.Tensor] = {}
    names: list[str] = []
    factor, law = 1.0, ""
    for token in _TOKENS.finditer(text):
        if token["law"]:
            factor, law = float(token["factor"] or 1), token["law"]
        elif token["name"]:
            names += _range(token["name"], token["last"]) if token["last"] else [token["name"]]
        else:
            shape = tuple(map(int, token["shape"].strip(",").split(",")))
            made |= {name: factor * draw(law, name, shape) for name in names}
            names = []
    return made


def _range(first: str, last: str) -> list[str]:
    """`x0` … `x9`, from the first and the last."""
    stem = first.rstrip("0123456789")
    return [f"{stem}{number}" for number in range(int(first[len(stem) :]), int(last[len(stem) :]) + 1)]


def labels(text: str) -> torch.Tensor:
    """The labels that a text of the manifest gives: "labels [2, 0, 1]" or "label 1"."""
    found = re.search(r"labels? (?:\[([\d, ]+)\]|(\d+))", text)
    assert found is not None, text
    return torch.tensor([int(label) for label in (found[1] or found[2]).split(",")])


def config_of(name: str) -> dict[str, Any]:
    """The configuration of the case with this id."""
    (config,) = [case["config"] for case in manifest()["cases"] if case["id"] == name]
    return dict(config)


def _rng(text: str) -> np.random.RandomState:
    return np.random.RandomState(zlib.crc32(text.encode()))


def weight(network: str, key: str, shape: tuple[int, ...]) -> torch.Tensor:
    rules = manifest()
    seed = rules["inception_seed_string" if network == "inception" else "seed_string"]
    if key.endswith("num_batches_tracked"):
        return torch.tensor(0)
    n = _rng(f"{seed}:{network}.{key}").standard_normal(shape)
    if len(shape) > 1:
        gains = rules["weight_gain"]
        value = n * np.sqrt(gains.get(network, gains["default"]) / np.prod(shape[1:]))
    elif key.endswith("running_var"):
        value = 1 + 0.1 * np.abs(n)
    elif key.endswith("weight"):
        value = 1 + 0.1 * n
    else:
        value = 0.1 * n - 6 * (f"{network}.{key}" == "fan.l0.bias")
    return torch.from_numpy(np.asarray(np.abs(value) if network == "lpips" else value))


def fill(module: nn.Module, network: str) -> nn.Module:
    """Give every tensor but the high-pass filter its golden value, in float64."""
    state = {
        key: value if key.endswith("hpf.filter") else weight(network, key, tuple(value.shape))
        for key, value in module.state_dict().items()
    }
    module.double().load_state_dict(state, strict=True)
    return module


@functools.cache
def inception_state() -> dict[str, torch.Tensor]:
    """The golden weights of torchvision's Inception v3, float32."""
    from torchvision.models import inception_v3

    shapes = inception_v3(weights=None, init_weights=False).state_dict()
    return {key: weight("inception", key, tuple(value.shape)).to(value.dtype) for key, value in shapes.items()}


def draw(law: str, name: str, shape: tuple[int, ...]) -> torch.Tensor:
    """An input of this name, `standard_normal` or `uniform(low,high)`, float64."""
    rng = _rng(f"{manifest()['seed_string']}:input:{name}")
    if law == "standard_normal":
        return torch.from_numpy(rng.standard_normal(shape))
    low, high = map(float, law.removeprefix("uniform(").removesuffix(")").split(","))
    return torch.from_numpy(rng.uniform(low, high, shape))
