"""What a training step costs, ours and the naive way: `pytest tests/benchmarks -k step --benchmark-only`."""

from __future__ import annotations

import pytest

from tools.ways import assert_alike, experiment, training_ways


@pytest.mark.parametrize("way", ["ours", pytest.param("compiled", marks=pytest.mark.slow), "naive"])
@pytest.mark.filterwarnings("ignore")  # those of torch.compile about its own insides
@pytest.mark.parametrize("image_size", [32, 64])
@pytest.mark.benchmark(group="training step, batch 8, widths 16 to 64")
def test_step(benchmark, way, image_size):
    assert_alike(experiment(image_size))
    steps, _ = training_ways(experiment(image_size), compile=way == "compiled")
    benchmark.pedantic(steps["naive" if way == "naive" else "ours"], rounds=10, warmup_rounds=2)
