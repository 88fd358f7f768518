"""What the metrics cost beside the naive way: `pytest tests/bench --benchmark-only --benchmark-group-by=group`.

The naive way is the published order of operations, plainly written with the same networks: LPIPS pair by pair, both
images through the network for every pair; Fréchet distance by the matrix square root of the covariances' product; for
a whole evaluation also a source encoded anew for every output, fakes as PNG on disk and back, and the real images'
statistics computed for every pair of domains. Both ways give the same values, which is checked before they are timed.
"""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest
import scipy.linalg
import torch
from PIL import Image

from sg2bench.config import Experiment
from sg2bench.data import images
from sg2bench.evaluation import frechet
from sg2bench.evaluation.evaluate import Evaluator
from sg2bench.evaluation.extractors import AlexNet
from sg2bench.evaluation.guidance import guide
from sg2bench.evaluation.lpips import diversity
from sg2bench.evaluation.translate import style_codes, to_float, to_uint8
from sg2bench.models.networks import Networks

OUTPUTS = 10


def naive_lpips(network, outputs):
    """Mean over the pairs of a source's outputs, uint8 (outputs, 3, H, W)."""
    values = []
    for i, j in itertools.combinations(range(len(outputs)), 2):
        layers = [
            torch.cat(pair)
            for pair in zip(network(outputs[i : i + 1]).layers, network(outputs[j : j + 1]).layers, strict=True)
        ]
        units = [layer / (layer.square().sum(1, keepdim=True).sqrt() + 1e-10) for layer in layers]
        terms = [
            ((u[0] - u[1]).square() * head[:, None, None]).sum(0).mean()
            for u, head in zip(units, network.heads, strict=True)
        ]
        values.append(sum(terms).item())
    return float(np.mean(values))


def naive_frechet(real, fake):
    means, covariances = [x.mean(0) for x in (real, fake)], [np.cov(x, rowvar=False) for x in (real, fake)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it says that a singular matrix may have no root
        root = scipy.linalg.sqrtm(covariances[0] @ covariances[1]).real
    return np.square(means[0] - means[1]).sum() + np.trace(covariances[0] + covariances[1] - 2 * root)


@pytest.fixture(scope="module")
def network():
    return AlexNet(resize=None)


@pytest.mark.parametrize("way", ["ours", "naive"])
@pytest.mark.benchmark(group="lpips of one source's 10 outputs, 64 px")
@torch.inference_mode()
def test_lpips(benchmark, network, way):
    outputs = torch.randint(0, 256, (OUTPUTS, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))

    def ours():
        return diversity(network(outputs).layers, network.heads, OUTPUTS).item()

    assert ours() == pytest.approx(naive_lpips(network, outputs), abs=1e-6)
    benchmark.pedantic(ours if way == "ours" else lambda: naive_lpips(network, outputs), rounds=5, warmup_rounds=1)


@pytest.mark.parametrize("n", [200, 1000])
@pytest.mark.parametrize("way", ["ours", "ours_with_interval", "naive"])
@pytest.mark.benchmark(group="Fréchet distance, d = 2048, 3,000 real images, their statistics at hand for ours")
def test_frechet(benchmark, way, n):
    rng = np.random.default_rng(0)
    mixing = rng.standard_normal((2048, 2048)) / 45
    real, fake = rng.standard_normal((3000, 2048)) @ mixing, rng.standard_normal((n, 2048)) @ mixing + 0.05
    statistics = frechet.statistics(real)

    def ours():
        return frechet.distance(statistics, frechet.statistics(fake))

    def with_interval():
        return frechet.influences(real, statistics, fake, frechet.statistics(fake))[0]

    ways = {"ours": ours, "ours_with_interval": with_interval, "naive": lambda: naive_frechet(real, fake)}
    value = benchmark.pedantic(ways[way], rounds=2, warmup_rounds=0)
    assert value == pytest.approx(ours(), rel=1e-3)


EXPERIMENT = Experiment(
    name="bench",
    data={"train_per_domain": 100, "val_per_domain": 12},
    model={"image_size": 64, "first_width": 16, "max_width": 64},
    evaluate={"resize": 64, "sources": 6, "outputs_per_source": OUTPUTS, "modes": ["latent"]},
)


def naive_evaluation(nets, found, folder):
    """Values by pair: (fd_alexnet, lpips)."""
    evaluate, side, network, values = EXPERIMENT.evaluate, 64, AlexNet(resize=64), {}
    for (source, target), guidance in guide(found, evaluate, "latent", nets.latent_dim).items():
        styles, fakes, each = style_codes(nets, found, guidance, target, 32, side), [], []
        for index, codes in zip(guidance.sources, styles, strict=True):
            outputs = []
            for k, code in enumerate(codes):
                raw = nets.generator(to_float(found.batch("val", source, [int(index)], side)), code[None])
                path = folder / f"{source}2{target}_{index}_{k}.png"
                Image.fromarray(to_uint8(raw)[0].permute(1, 2, 0).numpy()).save(path)
                with Image.open(path) as image:
                    outputs.append(torch.from_numpy(np.array(image)).permute(2, 0, 1))
            each.append(naive_lpips(network, torch.stack(outputs)))
            fakes += [network(output[None]).pooled for output in outputs]
        real = [network(found.batch("train", target, [i], side)).pooled for i in range(found.count("train", target))]
        values[source, target] = naive_frechet(*(torch.cat(x).double().numpy() for x in (real, fakes))), np.mean(each)
    return values


@pytest.mark.parametrize("way", ["ours", "naive"])
@pytest.mark.benchmark(group="whole evaluation: 6 pairs, 6 sources, 10 outputs, 64 px, from nothing cached")
@torch.inference_mode()
def test_evaluation(benchmark, way, tmp_path, monkeypatch):
    torch.manual_seed(0)
    nets, found = Networks(EXPERIMENT.model, 3).eval(), images.load(EXPERIMENT.data, 64)
    for split, domain in itertools.product(images.SPLITS, found.domains):
        found.batch(split, domain, range(found.count(split, domain)), 64)  # decoded once, for both ways

    def ours():
        monkeypatch.setenv("SG2BENCH_CACHE", str(tmp_path / str(next(counter))))
        values = {
            (v.source, v.target, v.metric): v.value for v in Evaluator(EXPERIMENT.evaluate, found, 64).model(nets)
        }
        return {p: (values[*p, "fd_alexnet"], values[*p, "lpips"]) for p in itertools.permutations(found.domains, 2)}

    counter = itertools.count()
    run = ours if way == "ours" else lambda: naive_evaluation(nets, found, tmp_path)
    values = benchmark.pedantic(run, rounds=3, warmup_rounds=0)
    for pair, (distance, lpips) in ours().items():
        assert values[pair][0] == pytest.approx(distance, rel=2e-3)
        assert values[pair][1] == pytest.approx(lpips, rel=1e-3)
