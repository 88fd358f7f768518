"""The benchmark behind `sg2bench bench`: a pytest module, parametrised by `sg2bench.bench.throughput`."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor

from sg2bench import devices
from sg2bench.bench import machine
from sg2bench.bench.throughput import Way
from sg2bench.config import Model
from sg2bench.models.networks import Networks

FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def test_generator(
    benchmark: BenchmarkFixture,
    model: Model,
    way: Way,
    deadline: float,
) -> None:
    if time.monotonic() > deadline:
        pytest.skip("the time budget is used up")
    torch.manual_seed(0)
    torch.compiler.reset()
    if torch.device(way.device).index is not None:
        torch.cuda.set_device(way.device)
    forward, parameters = _prepared(model, way)
    for _ in range(3):
        forward()
    work = machine.work(_prepared(model, way._replace(execution="eager"))[0])
    ceiling = machine.ceiling(way.device, way.precision)
    # A graph's memory was allocated when it was captured.
    peak = float("nan") if way.execution == "cuda_graph" else machine.peak_mib(way.device, forward)
    benchmark.extra_info.update(
        way._asdict()
        | {"device": devices.full_name(torch.device(way.device)), "threads": torch.get_num_threads()}
        | {"image_size": model.image_size, "parameters": parameters, "peak_mib": peak}
        | {"clock_mhz": machine.clock_mhz(way.device)}
        | work._asdict()
        | {"ceiling_flops_per_second": ceiling.flops_per_second, "ceiling_bytes_per_second": ceiling.bytes_per_second}
    )
    benchmark(forward)


def _prepared(model: Model, way: Way) -> tuple[Callable[[], None], int]:
    """Return a forward pass of a freshly initialised generator, given source and style, and its parameter count."""
    device = torch.device(way.device)
    nets = Networks(model, 2).to(device).to(memory_format=FORMATS[way.memory_format]).eval()
    shape = (way.batch_size, 3, model.image_size, model.image_size)
    image = (torch.rand(shape, device=device) * 2 - 1).contiguous(memory_format=FORMATS[way.memory_format])
    label = torch.zeros(way.batch_size, dtype=torch.int64, device=device)
    with torch.inference_mode():
        style = nets.latent_style(torch.randn(way.batch_size, model.latent_dim, device=device), label)

    def translate(image: Tensor, style: Tensor) -> Tensor:
        return nets.decode(nets.encode(image), style)

    run = torch.compile(translate, dynamic=False) if way.execution == "compile" else translate

    @torch.inference_mode()
    def forward() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=way.precision == "bf16"):
            run(image, style)
        machine.synchronize(way.device)

    parameters = sum(parameter.numel() for parameter in nets.generator.parameters())
    return (_graphed(forward, run, image, style, way) if way.execution == "cuda_graph" else forward), parameters


def _graphed(
    forward: Callable[[], None], run: Callable[[Tensor, Tensor], Tensor], image: Tensor, style: Tensor, way: Way
) -> Callable[[], None]:
    stream = torch.cuda.Stream(way.device)  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream(way.device))
    with torch.cuda.stream(stream):
        for _ in range(3):
            forward()
    torch.cuda.current_stream(way.device).wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with (
        torch.inference_mode(),
        torch.cuda.graph(graph),
        torch.autocast("cuda", torch.bfloat16, enabled=way.precision == "bf16", cache_enabled=False),
    ):
        run(image, style)

    def replay() -> None:
        graph.replay()
        machine.synchronize(way.device)

    return replay
