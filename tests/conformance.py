"""Writes the tables of docs/metrics.md and docs/gate.md: `nox -s conformance`

Our values beside those of the libraries that people trust, how often intervals hold the truth, how sure the gate is.
"""

from __future__ import annotations

import contextlib
import io
import platform
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch_fidelity
from numpy.typing import NDArray
from torch import Tensor
from torch_fidelity.metric_fid import fid_statistics_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

from sg2bench import config, results, weights
from sg2bench.config import Data
from sg2bench.data import images
from sg2bench.evaluation import frechet
from sg2bench.evaluation.extractors import AlexNet, InceptionTorchvision
from sg2bench.evaluation.lpips import diversity
from sg2bench.evaluation.metrics import Real, measure
from tests import golden, test_check, test_uncertainty

DOCS = Path(__file__).parent.parent / "docs"
_BEYOND_MARGIN = 0.25
"""How far beyond its margin, as a share, a metric is worse in the table of the gate's power."""
Row = tuple[str, str, float, str, float]
"""Images, metric, our value, library, its value."""


def lpips_package() -> Any:
    """The `lpips` library with the weights that we use."""
    import lpips

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
    """Mean over the pairs of images uint8 (n, 3, H, W), each pair through the library."""
    x = batch.float() / 127.5 - 1
    with torch.no_grad():
        values = [metric(x[i : i + 1], x[j : j + 1]).item() for i in range(len(x)) for j in range(i)]
    return float(np.mean(values))


def compare(name: str, real: Tensor, fake: Tensor) -> Iterator[Row]:
    """Every metric on two sets of images, uint8 (n, 3, 64, 64)."""
    network = AlexNet(resize=None)
    with torch.inference_mode():
        ours = diversity(network(fake[:10]).layers, network.heads, 10).item()
        x, y = (network(batch).pooled.numpy() for batch in (real, fake))
    yield name, "lpips of 10 images", ours, "lpips, 45 pairs", pairwise_lpips(lpips_package(), fake[:10])
    theirs = trusted(x, y)
    metrics = ["fd_alexnet", "kd_alexnet", "precision", "recall", "density", "coverage"]
    for metric, estimate in measure(metrics, Real(x, frechet.statistics(x)), y).items():
        yield name, metric, estimate.value, *theirs[metric]


def trusted(real: NDArray[np.float32], fake: NDArray[np.float32]) -> dict[str, tuple[str, float]]:
    from prdc import compute_prdc

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
    files = sorted((golden.FOLDER / f"fid/images/{folder}").glob("*.png"))
    return torch.from_numpy(np.stack([np.asarray(images.read_image(file)) for file in files])).permute(0, 3, 1, 2)


def golden_fid() -> Iterator[Row]:
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


def conformance() -> str:
    rows: list[Row] = []
    if (golden.FOLDER / "manifest.json").is_file():
        rows += golden_fid()
        rows += compare("golden, 30 and 30", golden_images("a")[:30], golden_images("b"))
    critters = images.load(Data(train_per_domain=300, val_per_domain=300, domains=("cat", "dog")), 64)
    cats = critters.batch("train", "cat", range(300), 64)
    rows += compare("critters, 300 cats and 300 other cats", cats, critters.batch("val", "cat", range(300), 64))
    rows += compare("critters, 300 cats and 300 dogs", cats, critters.batch("val", "dog", range(300), 64))
    lines = ["| images, 64 px | metric | ours | trusted | its value | difference |", "| --- " * 6 + "|"]
    lines += [
        f"| {name} | {metric} | {ours:.6g} | {library} | {theirs:.6g} | {ours - theirs:+.1e} |"
        for name, metric, ours, library, theirs in rows
    ]
    return "\n".join(lines)


def coverages() -> str:
    lines = ["| value | of what | intervals that hold it | width, over 3.92 standard deviations |", "| --- " * 4 + "|"]
    for metric in ("fd_alexnet", "kd_alexnet", "precision", "recall", "density", "coverage"):
        repeats = 500 if metric[1] == "d" else 200
        held, width, _ = test_uncertainty.coverage(metric, test_uncertainty.of_normals, repeats=repeats)
        lines.append(f"| {metric} | its expectation, 16 dimensions | {held:.1%} of {repeats} | {width:.2f} |")
    for d in (16, 128):
        held, width, _ = test_uncertainty.coverage(
            "fd_alexnet_inf",
            lambda metric, repeat, d=d: test_uncertainty.of_normals(metric, repeat, d),
            test_uncertainty.known_distance(d),
            300,
        )
        lines.append(f"| fd_alexnet_inf | the known distance, {d} dimensions | {held:.1%} of 300 | {width:.2f} |")
    return "\n".join(lines)


def power() -> str:
    """Verdicts of 1,000 simulated gates with the spread that the seeds of critters' full model have."""
    rows = results.read(DOCS.parent / "reports/critters/results.csv")
    rows = rows[(rows["variant"] == "full") & (rows["source"] == "*")]
    by_seed = np.log(rows.pivot(index="seed", columns=["metric", "mode", "target"], values="value"))
    deviations = (by_seed - by_seed.mean()).to_numpy()
    declared = config.load(DOCS.parent / "experiments/critters.yaml").margins
    metrics = by_seed.columns.get_level_values("metric")
    sign = {metric: 1 if results.better(metric) == "lower" else -1 for metric in declared}

    def scale(shares: dict[str, float]) -> NDArray[np.float64]:
        """Of each line, on the gate's scale: what a metric loses that gets worse by its share."""
        lost = {metric: sign[metric] * np.log1p(sign[metric] * shares[metric]) for metric in shares}
        return np.array([lost[metric] for metric in metrics])

    beyond = {metric: share + _BEYOND_MARGIN for metric, share in declared.items()}
    lines = ["| seeds | worse by | pass | regression | inconclusive |", "| --- " * 5 + "|"]
    for seeds in (3, 5, 8, 12, 20):
        for worse in (None, *declared):
            effect = (metrics == worse) * scale(beyond)
            found = test_check.simulate(deviations, scale(declared), effect, seeds, paired=True, trials=1000)
            by = f"{worse} {beyond[worse]:.0%}" if worse else "nothing"
            shares = " | ".join(f"{found[word]:.1%}" for word in ("pass", "regression", "inconclusive"))
            lines.append(f"| {seeds} | {by} | {shares} |")
    return "\n".join(lines)


def write_table(page: str, mark: str, table: str, command: str) -> None:
    """Put a table between the marks of a page of docs/, with the command that made it and versions."""
    path = DOCS / page
    text = path.read_text(encoding="utf-8")
    before, _, rest = text.partition(f"<!-- {mark} -->")
    _, _, after = rest.partition(f"<!-- /{mark} -->")
    if not rest:
        sys.exit(f"{path}: has no mark <!-- {mark} -->")
    made = (
        f"Written by `{command}` ({results.processor()}, {platform.system()}; torch {torch.__version__}, "
        f"torch-fidelity {torch_fidelity.__version__}, lpips 0.1.4, prdc 0.2, numpy {np.__version__})."
    )
    path.write_text(f"{before}<!-- {mark} -->\n{table}\n\n{made}\n<!-- /{mark} -->{after}", encoding="utf-8")


def main() -> None:
    for page, mark, table in (
        ("metrics.md", "conformance", conformance),
        ("metrics.md", "coverage", coverages),
        ("gate.md", "power", power),
    ):
        write_table(page, mark, table(), "nox -s conformance")


if __name__ == "__main__":
    main()
