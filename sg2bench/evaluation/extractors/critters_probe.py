"""A probe that reads the factors of a critter from its image; trained once on drawn critters."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from filelock import FileLock
from torch import Tensor, nn

from sg2bench.data import critters
from sg2bench.data.critters import Factors
from sg2bench.evaluation import array_cache
from sg2bench.evaluation.extractors.base import Extractor, Features
from sg2bench.files import cache_folder
from sg2bench.progress import track

_SIDE, _BATCH, _STEPS, _RATE, _NOISE = 32, 64, 1800, 3e-3, 8.0
_WIDER, _STRIPES = 4, 2.0
"""One image in `_WIDER` has factors from a wider range. `_STRIPES` is the weight of stripes, the hardest factor."""
_TRAIN, _HELD_OUT = "probe", "probe, held out"
"""Splits that no image set has, so the probe sees no image of a study."""
_DRAWN = {_TRAIN: 3000, _HELD_OUT: 300}
"""Images per domain, by split."""
_WIDTHS, _HIDDEN = (32, 64, 96), 128
_RECIPE = {
    "version": 2,
    "critters": critters.VERSION,
    "factors": critters.FACTORS,
    "network": [_SIDE, _WIDTHS, _HIDDEN],
    "training": [_DRAWN, _BATCH, _STEPS, _RATE, _NOISE, _WIDER, _STRIPES],
}


class CrittersProbe(Extractor):
    """Read the factors of critters, float32 (N, 14), in their units: see `data.critters.FACTORS`.

    Larger images are averaged down to 32 pixels. The probe is trained at that size, with noise of up to 8 levels and
    slight blur, as in generated images. Its first use trains it, in about 45 s on one core, and caches it.
    """

    weights_sha256 = hashlib.sha256(json.dumps(_RECIPE, sort_keys=True).encode()).hexdigest()
    resizes = False
    dim = len(critters.FACTORS)
    least_side = _SIDE

    def __init__(self, resize: int | None = None) -> None:
        super().__init__(resize)
        with torch.device("meta"):  # does not use the global random stream
            self.network = _network()
        self.register_buffer("mean", torch.zeros(self.dim))
        self.register_buffer("deviation", torch.ones(self.dim))
        self.register_buffer("held_out", torch.zeros(self.dim))
        shapes = {name: tuple(tensor.shape) for name, tensor in self.state_dict().items()}
        self.load_state_dict(_kept_or_trained(shapes), assign=True)
        self.requires_grad_(False)

    def held_out_errors(self) -> dict[str, float]:
        """Return the mean absolute error of each factor, in its unit, on critters not used in training."""
        return dict(zip(critters.FACTORS, self.get_buffer("held_out").tolist(), strict=True))

    def forward(self, images: Tensor) -> Features:
        read = self.network(_coordinates_added(_averaged(images.float())))
        return Features(read * self.get_buffer("deviation") + self.get_buffer("mean"))


def _network() -> nn.Sequential:
    layers: list[nn.Module] = []
    dim_in, side = 5, _SIDE
    for dim_out in _WIDTHS:
        layers += [nn.Conv2d(dim_in, dim_out, 3, 2, 1), nn.ReLU()]
        dim_in, side = dim_out, side // 2
    layers += [nn.Flatten(), nn.Linear(dim_in * side**2, _HIDDEN), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(_HIDDEN, len(critters.FACTORS)))


def _averaged(images: Tensor) -> Tensor:
    side = images.shape[-1]
    if side % _SIDE == 0:
        return F.avg_pool2d(images, side // _SIDE)
    return F.interpolate(images, (_SIDE, _SIDE), mode="bilinear", antialias=True, align_corners=False)


def _coordinates_added(images: Tensor) -> Tensor:
    """Add each pixel's coordinates: images (N, 3, 32, 32) in 0..255 -> (N, 5, 32, 32), all in -1..1."""
    places = torch.linspace(-1, 1, _SIDE, device=images.device)
    rows_and_columns = torch.stack(torch.meshgrid(places, places, indexing="ij"))
    return torch.cat([images / 127.5 - 1, rows_and_columns.expand(len(images), -1, -1, -1)], 1)


def _kept_or_trained(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Return the probe's state from the cache, after training it if needed."""
    path = cache_folder() / "probes" / f"critters-{CrittersProbe.weights_sha256[:16]}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")):
        if (arrays := array_cache.read(path, shapes)) is None:
            arrays = {name: tensor.numpy() for name, tensor in _train().items()}
            array_cache.write(path, arrays)
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


@torch.inference_mode(False)
@torch.enable_grad()
def _train() -> dict[str, Tensor]:
    """Regress the standardised factors of drawn critters; reproducible on one machine, for any number of threads."""
    (images, factors), (unseen, truth) = _drawn(_TRAIN, _widened), _drawn(_HELD_OUT, lambda factors, _: factors)
    mean, deviation = factors.mean(0), factors.std(0)
    weights = torch.tensor([_STRIPES if name == "stripes" else 1.0 for name in critters.FACTORS])
    with _one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = _network()
        optimizer = torch.optim.Adam(network.parameters())
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=_STEPS)
        for _ in track(range(_STEPS), "training the probe of critters, once"):
            chosen = torch.randint(len(images), (_BATCH,))
            read = network(_coordinates_added(_disturbed(images[chosen].float())))
            loss = ((read - (factors[chosen] - mean) / deviation).square() * weights).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        with torch.no_grad():
            read = network(_coordinates_added(unseen.float())) * deviation + mean
    state = {f"network.{name}": tensor.detach() for name, tensor in network.state_dict().items()}
    return state | {"mean": mean, "deviation": deviation, "held_out": (read - truth).abs().mean(0)}


def _widened(factors: Factors, index: int) -> Factors:
    """Change every fourth image: a pose from twice the range, and for half of these any colours, as early outputs."""
    if index % _WIDER:
        return factors
    rng = np.random.RandomState(index)
    changed: dict[str, Any] = {}
    for name in ("x", "y", "radius", "angle"):
        low, high = critters.RANGES[name]
        changed[name] = round(rng.uniform(low - (high - low) / 2, high + (high - low) / 2) * 4096) / 4096
    red, green, blue = rng.randint(0, 256, (3, 3)).T.tolist()
    if rng.randint(2):
        changed |= zip(("fur", "eyes", "background"), zip(red, green, blue, strict=True), strict=True)
    return replace(factors, **changed)


def _drawn(split: str, change: Callable[[Factors, int], Factors]) -> tuple[Tensor, Tensor]:
    """Draw images uint8 (n, 3, 32, 32) of all domains; return them and their factors, float32 (n, 14)."""
    made_of = [
        (domain, change(critters.factors(domain, split, index, seed=0), index))
        for domain in critters.DOMAINS
        for index in range(_DRAWN[split])
    ]
    images = np.stack([critters.draw(domain, factors, _SIDE) for domain, factors in made_of])
    vectors = np.stack([critters.as_vector(factors) for _, factors in made_of])
    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(vectors).float()


def _disturbed(images: Tensor) -> Tensor:
    """Add noise to images and blur half of them, each with its own strength."""
    noisy = images + torch.randn_like(images) * torch.rand(len(images), 1, 1, 1) * _NOISE
    binomial = torch.tensor([1.0, 2.0, 1.0]) / 4
    kernel = torch.outer(binomial, binomial).expand(3, 1, 3, 3)
    blurred = F.conv2d(F.pad(noisy, (1, 1, 1, 1), mode="replicate"), kernel, groups=3)
    share = torch.rand(len(images), 1, 1, 1) * (torch.rand(len(images), 1, 1, 1) < 0.5)
    return torch.lerp(noisy, blurred, share)


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
