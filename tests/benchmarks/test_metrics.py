"""What the metrics cost, ours and the naive way: `pytest tests/benchmarks --benchmark-only`.

Add `--benchmark-group-by=group`. Both ways give the same values, which is checked before they are timed.
"""

from __future__ import annotations

import pytest
import torch

from sg2bench.files import cache_folder
from tools.ways import evaluation_ways, frechet_ways, lpips_ways


@pytest.mark.parametrize("way", ["ours", "naive"])
@pytest.mark.benchmark(group="lpips of 8 sources' 10 outputs, 64 px")
@torch.inference_mode()
def test_lpips(benchmark, way):
    ways = lpips_ways()
    assert ways["ours"]() == pytest.approx(ways["naive"](), abs=1e-6)
    benchmark.pedantic(ways[way], rounds=5, warmup_rounds=1)


@pytest.mark.parametrize("n", [200, 1000])
@pytest.mark.parametrize("way", ["ours", "ours_with_interval", "naive"])
@pytest.mark.benchmark(group="Fréchet distance, d = 2048, 3,000 real images, of known statistics")
def test_frechet(benchmark, way, n):
    ways = frechet_ways(n)
    value = benchmark.pedantic(ways[way], rounds=2, warmup_rounds=0)
    assert value == pytest.approx(ways["ours"](), rel=1e-3)


@pytest.mark.parametrize("way", ["ours", "naive"])
@pytest.mark.benchmark(group="whole evaluation: 6 pairs, 6 sources, 10 outputs, 64 px, from nothing cached")
@torch.inference_mode()
def test_evaluation(benchmark, way, tmp_path, monkeypatch):
    monkeypatch.setenv("SG2BENCH_CACHE", str(cache_folder()))  # restored at the end
    ways = evaluation_ways(tmp_path)
    values = benchmark.pedantic(ways[way], rounds=3, warmup_rounds=0)
    for pair, (distance, lpips) in ways["ours"]().items():
        assert values[pair][0] == pytest.approx(distance, rel=2e-3)
        assert values[pair][1] == pytest.approx(lpips, rel=1e-3)
