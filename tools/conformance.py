"""Write tables of docs/metrics.md and docs/gate.md: `nox -s conformance`.

They compare our values with those of trusted libraries, and show the coverage of intervals and the power of the gate.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator
from typing import Any

import lpips
import numpy as np
import torch
from numpy.typing import NDArray
from prdc import compute_prdc
from torch import Tensor
from torch_fidelity.metric_fid import fid_statistics_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

from sg2bench import texts, weights
from sg2bench.config import Data
from sg2bench.data import sets
from sg2bench.data.decode import read_image
from sg2bench.evaluation.extractors import AlexNet
from sg2bench.evaluation.extractors.inception import InceptionTorchvision
from sg2bench.evaluation.measures import frechet
from sg2bench.evaluation.measures.lpips import diversity
from tests import golden
from tools import coverage, power
from tools.tables import write_table

Row = tuple[str, str, float, str, float]
"""Name of the images, metric, our value, library, its value."""


def lpips_package() -> Any:
    """Return the `lpips` library's metric with our weights."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        metric = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False).eval()
    trunk, _ = weights.alexnet_lpips()
    slices = {0: 1, 3: 2, 6: 3, 8: 4, 10: 5}
    renamed = {
        f"slice{slices[int(key.split('.')[1])]}.{key.removeprefix('features.')}": value for key, value in trunk.items()
    }
    metric.net.load_state_dict(renamed, strict=True)
    return metric


def pairwise_lpips(metric: Any, batch: Tensor) -> float:
    """Return the library's mean over all pairs of images, uint8 (n, 3, H, W)."""
    x = batch.float() / 127.5 - 1
    with torch.no_grad():
        values = [metric(x[i : i + 1], x[j : j + 1]).item() for i in range(len(x)) for j in range(i)]
    return float(np.mean(values))


def compare(name: str, real: Tensor, fake: Tensor) -> Iterator[Row]:
    """Compare every metric on two sets of images, uint8 (n, 3, 64, 64)."""
    network = AlexNet(resize=None)
    with torch.inference_mode():
        ours = diversity(network(fake[:10]).layers, network.heads, 10).item()
        x, y = (network(batch).pooled.numpy() for batch in (real, fake))
    yield name, "lpips of 10 images", ours, "lpips, 45 pairs", pairwise_lpips(lpips_package(), fake[:10])
    for metric, (library, value) in trusted(x, y).items():
        yield name, metric, coverage.estimate(metric, x, y).value, library, value


def trusted(real: NDArray[np.float32], fake: NDArray[np.float32]) -> dict[str, tuple[str, float]]:
    """Return, by metric, a library and its value on these features."""
    moments = [{"mu": x.mean(0), "sigma": np.cov(x, rowvar=False)} for x in (real.astype(float), fake.astype(float))]
    tensors = [torch.from_numpy(x).double() for x in (fake, real)]
    fewest = min(len(real), len(fake))
    kid = kid_features_to_metric(
        *(t[:fewest] for t in tensors), kid_subsets=1, kid_subset_size=fewest, verbose=False, rng_seed=0
    )
    prc = prc_features_to_metric(*tensors, prc_neighborhood=3, prc_batch_size=10000, save_cpu_ram=False, verbose=False)
    with contextlib.redirect_stdout(io.StringIO()):
        prdc = compute_prdc(real_features=real, fake_features=fake, nearest_k=5)
    fid = fid_statistics_to_metric(*moments, verbose=False)["frechet_inception_distance"]
    return {
        "fd_alexnet": ("torch-fidelity", float(fid)),
        "kd_alexnet": ("torch-fidelity, one subset of all", float(kid["kernel_inception_distance_mean"])),
        "precision": ("torch-fidelity", float(prc["precision"])),
        "recall": ("torch-fidelity", float(prc["recall"])),
        "density": ("prdc", float(prdc["density"])),
        "coverage": ("prdc", float(prdc["coverage"])),
    }


def golden_images(folder: str) -> Tensor:
    """Load images of the golden vectors, uint8 (n, 3, 64, 64)."""
    files = sorted((golden.FOLDER / f"fid/images/{folder}").glob("*.png"))
    return torch.from_numpy(np.stack([np.asarray(read_image(file)) for file in files])).permute(0, 3, 1, 2)


def golden_fid() -> Iterator[Row]:
    """Compare the published FID on recorded images and weights."""
    (case,) = (case for case in golden.manifest()["cases"] if case["kind"] == "fid")
    stored, load = golden.load(case), weights.inception_torchvision
    weights.inception_torchvision = golden.inception_state
    try:
        network = InceptionTorchvision(None)
    finally:
        weights.inception_torchvision = load
    with torch.inference_mode():
        real, fake = (frechet.statistics(network(golden_images(folder)).pooled.numpy()) for folder in "ab")
    ours = frechet.distance(real, fake)
    yield "golden, 40 and 30", "fid, protocol paper", ours, "recorded, exact", float(stored["fid_exact"])
    yield "golden, 40 and 30", "fid, protocol paper", ours, "recorded, published code", float(stored["fid_official"])


def table() -> str:
    """Return a Markdown table of our values and those of trusted libraries."""
    found: list[Row] = []
    if (golden.FOLDER / "manifest.json").is_file():
        found += golden_fid()
        found += compare("golden, 30 and 30", golden_images("a")[:30], golden_images("b"))
    critters = sets.load(Data(train_per_domain=300, val_per_domain=300, domains=("cat", "dog")), 64)
    cats = critters.batch("train", "cat", range(300), 64)
    found += compare("critters, 300 cats and 300 other cats", cats, critters.batch("val", "cat", range(300), 64))
    found += compare("critters, 300 cats and 300 dogs", cats, critters.batch("val", "dog", range(300), 64))
    lines = [
        (name, metric, f"{ours:.6g}", library, f"{theirs:.6g}", f"{ours - theirs:+.1e}")
        for name, metric, ours, library, theirs in found
    ]
    return texts.markdown_table(("images, 64 px", "metric", "ours", "compared with", "its value", "difference"), lines)


def main() -> None:
    for page, mark, made in (
        ("metrics.md", "conformance", table),
        ("metrics.md", "coverage", coverage.table),
        ("gate.md", "power", power.table),
    ):
        write_table(page, mark, made(), "nox -s conformance")


if __name__ == "__main__":
    main()
