"""What `sg2bench bench` times: a pytest module, parametrised by `sg2bench.bench`."""

from __future__ import annotations

import torch
from pytest_benchmark.fixture import BenchmarkFixture

from sg2bench import results
from sg2bench.config import Model
from sg2bench.models.networks import Networks


def test_generator(benchmark: BenchmarkFixture, model: Model, device: str, batch_size: int) -> None:
    torch.manual_seed(0)
    nets = Networks(model, 2).to(device).eval()
    image = torch.rand(batch_size, 3, model.image_size, model.image_size, device=device) * 2 - 1
    label = torch.zeros(batch_size, dtype=torch.int64, device=device)
    style = nets.latent_style(torch.randn(batch_size, model.latent_dim, device=device), label)

    @torch.inference_mode()
    def forward() -> None:
        nets.decode(nets.encode(image), style)
        if device.startswith("cuda"):
            torch.cuda.synchronize()

    for _ in range(3):
        forward()
    benchmark.extra_info.update(
        device_name=results.device_name(torch.device(device)),
        threads=torch.get_num_threads(),
        image_size=model.image_size,
        batch_size=batch_size,
        parameters=sum(parameter.numel() for parameter in nets.generator.parameters()),
    )
    benchmark(forward)
