"""Images, checkpoints and cached features, damaged and hostile."""

from __future__ import annotations

import io
import os
import pickle
import random
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from sg2bench.config import Evaluate, Model
from sg2bench.data import folder as folders
from sg2bench.data.decode import read_image
from sg2bench.evaluation.evaluator import Evaluator
from sg2bench.files import cache_folder
from sg2bench.models import checkpoints
from sg2bench.models.networks import Networks
from tests.attack.base import Attempt, damaged

_FORMATS = {"png": "PNG", "jpg": "JPEG", "webp": "WEBP", "bmp": "BMP", "tif": "TIFF"}
_MODES = ("RGB", "RGBA", "L", "LA", "P", "1", "I;16")
_TINY = Model(image_size=32, first_width=4, max_width=8, style_dim=5, latent_dim=3, mapping_width=8)


class _Runs:
    """Leaves a mark if a pickle's code is run."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (f"touch {self.mark}",)


def images(rng: random.Random, folder: Path) -> Iterator[Attempt]:
    """Image files of every format and mode, damaged; other formats under their names."""
    noise = np.random.default_rng(0).integers(0, 256, (24, 24, 4), np.uint8)
    sound = []
    for ending, format_ in _FORMATS.items():
        for mode in _MODES:
            content = io.BytesIO()
            pixels = noise[..., 0].astype(np.uint16) * 257 if mode == "I;16" else noise
            image = Image.fromarray(pixels) if mode == "I;16" else Image.fromarray(noise, "RGBA").convert(mode)
            try:
                image.save(content, format_)
            except (OSError, ValueError, KeyError):
                continue
            sound.append((ending, content.getvalue()))
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/tmp/eps-ran) (w) file\n"
    huge = io.BytesIO()
    Image.new("1", (30_000, 30_000)).save(huge, "PNG")
    while True:
        ending, content = rng.choice(sound)
        if (draw := rng.random()) < 0.02:
            content, must_fail = (eps, True) if draw < 0.015 else (huge.getvalue(), False)
        else:
            content, must_fail = damaged(content, rng), False
        path = folder / f"image.{ending}"
        path.write_bytes(content)
        yield Attempt(f"image {ending}", lambda path=path: read_image(path).load(), must_fail)


def model_files(rng: random.Random, folder: Path) -> Iterator[Attempt]:
    """Checkpoints with bytes, keys and tensors changed, and pickles that would run code."""
    torch.manual_seed(0)
    nets = Networks(_TINY, 2)
    sound = checkpoints.save_ema(nets, folder, 1)
    content, mark = sound.read_bytes(), folder / "code-ran"
    state = torch.load(sound, weights_only=True)
    path = folder / "000002_nets_ema.ckpt"

    def load() -> None:
        try:
            checkpoints.load(nets, path)
        finally:
            assert not mark.exists(), "code of the file was run"

    while True:
        way, must_fail = rng.randrange(4), False
        if way == 0:
            path.write_bytes(damaged(content, rng))
        elif way == 1:
            path.write_bytes(pickle.dumps({"generator": _Runs(mark)}))
            must_fail = True
        else:
            torch.save(_changed(state, rng), path, _use_new_zipfile_serialization=rng.random() < 0.5)
            must_fail = True
        yield Attempt(f"checkpoint {way}", load, must_fail)


def _changed(state: dict[str, dict[str, torch.Tensor]], rng: random.Random) -> object:
    """The state with one tensor, key or network that no such file has."""
    changed = {name: dict(tensors) for name, tensors in state.items()}
    network = changed[rng.choice([*changed])]
    key = rng.choice([*network])
    tensor = network[key]
    network[key] = rng.choice(
        (
            tensor.flatten()[:1].as_strided((10**6, 10**6), (0, 0)),
            torch.full_like(tensor, float("nan")),
            torch.full_like(tensor, float("-inf")),
            tensor.new_zeros(()).expand(tensor.shape[0] + 1, *tensor.shape[1:]),
            torch.eye(3).to_sparse(),
            torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8),
            tensor.to(torch.complex64),
            torch.zeros(0),
        )
    )
    if rng.random() < 0.3:
        del network[key]
    return changed if rng.random() < 0.9 else [changed]


def caches(rng: random.Random, folder: Path) -> Iterator[Attempt]:
    """Cached digests and features, damaged or of other content: what is computed stays the same."""
    noise = np.random.default_rng(0)
    for split in ("train", "val"):
        for domain in ("cat", "dog"):
            (folder / "set" / split / domain).mkdir(parents=True)
            for number in range(4):
                pixels = noise.integers(0, 256, (32, 32, 3), np.uint8)
                Image.fromarray(pixels).save(folder / "set" / split / domain / f"{number}.png")
    evaluate = Evaluate(metrics=("fd_alexnet",), resize=64, outputs_per_source=2)

    def features() -> tuple[str, np.ndarray]:
        images = folders.load(folder / "set")
        return images.fingerprint, Evaluator(evaluate, images, 32).real["alexnet"]["cat"].features

    fingerprint, expected = features()
    files = [path for path in cache_folder().rglob("*") if path.suffix in (".npz", ".json")]
    contents = {path: path.read_bytes() for path in files}

    def same() -> None:
        found = features()
        assert found[0] == fingerprint, "another fingerprint"
        assert np.array_equal(found[1], expected), "other features"

    while True:
        path = rng.choice(files)
        if path.suffix == ".npz" and rng.random() < 0.3:
            with zipfile.ZipFile(path, "w") as archive, archive.open("features.npy", "w") as member:
                np.save(member, expected + 1)
        elif rng.random() < 0.2:
            path.write_bytes(rng.choice((b"", b"{}", b"[]", b"null", b"0")))
        else:
            path.write_bytes(damaged(contents[path], rng))
        try:
            yield Attempt(f"cache {path.suffix}", same, must_pass=True)
        finally:  # also after the last attempt: other tests read this cache
            path.write_bytes(contents[path])
