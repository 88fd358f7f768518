"""What the metrics cost beside the naive way: `pytest tests/bench --benchmark-only --benchmark-group-by=group`.

The naive way is that of naive.py. Both ways give the same values, which is checked before they are timed.
"""

from __future__ import annotations

import itertools
import os

import numpy as np
import pytest
import torch

from sg2bench import cache
from sg2bench.config import Experiment
from sg2bench.data import images
from sg2bench.evaluation import frechet
from sg2bench.evaluation.evaluate import Evaluator
from sg2bench.evaluation.extractors import AlexNet
from sg2bench.evaluation.lpips import diversity
from sg2bench.models.networks import Networks
from tests.bench import naive

OUTPUTS = 10
EXPERIMENT = Experiment(
    name="bench",
    data={"train_per_domain": 100, "val_per_domain": 12},
    model={"image_size": 64, "first_width": 16, "max_width": 64},
    evaluate={"resize": 64, "sources": 6, "outputs_per_source": OUTPUTS, "modes": ["latent"]},
)


def lpips_ways():
    """LPIPS of 8 sources' 10 outputs, 64 px."""
    network, generator = AlexNet(resize=None), torch.Generator().manual_seed(0)
    plain = AlexNet(resize=None).to(memory_format=torch.contiguous_format)
    outputs = torch.randint(0, 256, (8, OUTPUTS, 3, 64, 64), dtype=torch.uint8, generator=generator)
    return {
        "ours": lambda: diversity(network(outputs.flatten(0, 1)).layers, network.heads, OUTPUTS).mean().item(),
        "naive": lambda: naive.lpips(plain, outputs.transpose(0, 1)),
    }


def frechet_ways(n):
    """Fréchet distance of n fakes to 3,000 real images whose statistics are at hand; 2,048 features."""
    rng = np.random.default_rng(0)
    mixing = rng.standard_normal((2048, 2048)) / 45
    real, fake = rng.standard_normal((3000, 2048)) @ mixing, rng.standard_normal((n, 2048)) @ mixing + 0.05
    known, moments = frechet.statistics(real), naive.moments(real)
    return {
        "ours": lambda: frechet.distance(known, frechet.statistics(fake)),
        "ours_with_interval": lambda: frechet.influences(real, known, fake, frechet.statistics(fake))[0],
        "naive": lambda: naive.frechet(moments, naive.moments(fake)),
    }


def evaluation_ways(folder, model=EXPERIMENT.model, device="cpu"):
    """A whole evaluation: 6 pairs, 6 sources, 10 outputs, measured at 64 px, none cached but the weights. Sets
    SG2BENCH_CACHE.
    """
    torch.manual_seed(0)
    image_size = model.image_size
    nets, found = Networks(model, 3).to(device).eval(), images.load(EXPERIMENT.data, image_size)
    for split, domain in itertools.product(images.SPLITS, found.domains):
        found.batch(split, domain, range(found.count(split, domain)), image_size)  # decoded once, for both ways

    caches = map(str, itertools.count())

    def ours():
        os.environ["SG2BENCH_CACHE"] = str(folder / next(caches))
        measured = Evaluator(EXPERIMENT.evaluate, found, image_size, device).model(nets)
        values = {(v.source, v.target, v.metric): v.value for v in measured}
        return {p: (values[*p, "fd_alexnet"], values[*p, "lpips"]) for p in itertools.permutations(found.domains, 2)}

    return {"ours": ours, "naive": lambda: naive.evaluation(EXPERIMENT.evaluate, nets, found, folder, image_size)}


@pytest.mark.parametrize("way", ["ours", "naive"])
@pytest.mark.benchmark(group="lpips of 8 sources' 10 outputs, 64 px")
@torch.inference_mode()
def test_lpips(benchmark, way):
    ways = lpips_ways()
    assert ways["ours"]() == pytest.approx(ways["naive"](), abs=1e-6)
    benchmark.pedantic(ways[way], rounds=5, warmup_rounds=1)


@pytest.mark.parametrize("n", [200, 1000])
@pytest.mark.parametrize("way", ["ours", "ours_with_interval", "naive"])
@pytest.mark.benchmark(group="Fréchet distance, d = 2048, 3,000 real images, their statistics at hand")
def test_frechet(benchmark, way, n):
    ways = frechet_ways(n)
    value = benchmark.pedantic(ways[way], rounds=2, warmup_rounds=0)
    assert value == pytest.approx(ways["ours"](), rel=1e-3)


@pytest.mark.parametrize("way", ["ours", "naive"])
@pytest.mark.benchmark(group="whole evaluation: 6 pairs, 6 sources, 10 outputs, 64 px, from nothing cached")
@torch.inference_mode()
def test_evaluation(benchmark, way, tmp_path, monkeypatch):
    monkeypatch.setenv("SG2BENCH_CACHE", str(cache.folder()))  # given back at the end
    ways = evaluation_ways(tmp_path)
    values = benchmark.pedantic(ways[way], rounds=3, warmup_rounds=0)
    for pair, (distance, lpips) in ways["ours"]().items():
        assert values[pair][0] == pytest.approx(distance, rel=2e-3)
        assert values[pair][1] == pytest.approx(lpips, rel=1e-3)
