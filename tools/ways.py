"""The same work done in two ways, ours and the naive one (naive.py), for benchmarks and ratios."""

from __future__ import annotations

import itertools
import os

import numpy as np
import pytest
import torch

from sg2bench import devices
from sg2bench.config import Experiment
from sg2bench.data import images, sets
from sg2bench.data.batches import Batch, Batches
from sg2bench.evaluation.evaluator import Evaluator
from sg2bench.evaluation.extractors import AlexNet
from sg2bench.evaluation.guidance import guide
from sg2bench.evaluation.measures import frechet
from sg2bench.evaluation.measures.lpips import diversity
from sg2bench.evaluation.outputs import images_per_batch, style_codes, to_uint8, translate
from sg2bench.models.networks import Networks
from sg2bench.training.state import State
from sg2bench.training.step import train_step
from tools import naive

OUTPUTS = 10
EVALUATED = Experiment(
    name="bench",
    data={"train_per_domain": 100, "val_per_domain": 12},
    model={"image_size": 64, "first_width": 16, "max_width": 64},
    evaluate={
        "metrics": ["fd_alexnet", "lpips"],
        "resize": 64,
        "sources": 6,
        "outputs_per_source": OUTPUTS,
        "modes": ["latent"],
    },
)
"""Experiment whose evaluation is timed."""
_DATA = {"train_per_domain": 8, "val_per_domain": 2}
PAPER = Experiment(name="paper", data=_DATA)
"""The paper's settings, on critters."""


def experiment(image_size, batch_size=8):
    """Return an experiment with a small model to train."""
    return Experiment(
        name="bench",
        data=_DATA,
        model={"image_size": image_size, "first_width": 16, "max_width": 64},
        train={"batch_size": batch_size},
    )


def lpips_ways():
    """Return both ways to compute LPIPS of 10 outputs of 8 sources, 64 px."""
    network, generator = AlexNet(resize=None), torch.Generator().manual_seed(0)
    plain = naive.PlainAlexNet(resize=None)
    outputs = torch.randint(0, 256, (8, OUTPUTS, 3, 64, 64), dtype=torch.uint8, generator=generator)
    return {
        "ours": lambda: diversity(network(outputs.flatten(0, 1)).layers, network.heads, OUTPUTS).mean().item(),
        "naive": lambda: naive.lpips(plain, outputs.transpose(0, 1)),
    }


def frechet_ways(n):
    """Return both ways to compute the Fréchet distance of n fakes to 3,000 real images; 2,048 features.

    The statistics of the real images are known.
    """
    rng = np.random.default_rng(0)
    mixing = rng.standard_normal((2048, 2048)) / 45
    real, fake = rng.standard_normal((3000, 2048)) @ mixing, rng.standard_normal((n, 2048)) @ mixing + 0.05
    known, moments = frechet.statistics(real), naive.moments(real)
    return {
        "ours": lambda: frechet.distance(known, frechet.statistics(fake)),
        "ours_with_interval": lambda: frechet.influences(real, known, fake, frechet.statistics(fake))[0],
        "naive": lambda: naive.frechet(moments, naive.moments(fake)),
    }


def evaluation_ways(folder, model=EVALUATED.model, device="cpu"):
    """Return ways to run a whole evaluation: 6 pairs, 6 sources, 10 outputs, at 64 px, with only the weights cached.

    They return values by pair, (fd_alexnet, lpips). Ours sets SG2BENCH_CACHE. `floor` is the unavoidable part: the
    generator, and one pass of each output and each real image through AlexNet.
    """
    torch.manual_seed(0)
    image_size = model.image_size
    nets, found = Networks(model, 3).to(device).eval(), sets.load(EVALUATED.data, image_size)
    for split, domain in itertools.product(images.SPLITS, found.domains):
        found.batch(split, domain, range(found.count(split, domain)), image_size)  # decoded once, for both ways

    caches = map(str, itertools.count())

    def ours():
        os.environ["SG2BENCH_CACHE"] = str(folder / next(caches))
        measured = Evaluator(EVALUATED.evaluate, found, image_size, device).model(nets)
        values = {(v.source, v.target, v.metric): v.value for v in measured}
        return {p: (values[*p, "fd_alexnet"], values[*p, "lpips"]) for p in itertools.permutations(found.domains, 2)}

    network = AlexNet(EVALUATED.evaluate.resize).to(device)
    size = images_per_batch(torch.device(device), 32, image_size)

    def floor():
        for pair, guidance in guide(found, EVALUATED.evaluate, "latent", nets.latent_dim).items():
            styles = style_codes(nets, found, guidance, pair[1], size, image_size)
            for outputs in translate(nets, found, pair[0], guidance, styles, size, image_size):
                network(to_uint8(outputs))
        for domain in found.domains:
            for some in torch.arange(found.count("train", domain)).split(size):
                network(found.batch("train", domain, some.tolist(), image_size).to(device))

    def theirs():
        return naive.evaluation(EVALUATED.evaluate, nets, found, folder, image_size)

    return {"ours": ours, "naive": theirs, "floor": floor}


def training_ways(settings, device="cpu", dtype=torch.float32, **train):
    """Return a training step of ours (with settings `train`) and of the naive way, and their two states.

    Each has its own networks, which start equal.
    """
    found, size = sets.load(settings.data, settings.model.image_size), settings.train.batch_size
    batches = Batches(found, 0, size, settings.model.image_size, settings.model.latent_dim, 0.5)
    plain = settings.model_dump(mode="json")
    ours = Experiment.model_validate(plain | {"train": plain["train"] | train})
    states = []
    for make, chosen in ((State, ours), (naive.training_state, settings)):
        torch.manual_seed(0)
        states.append(make(chosen, len(found.domains), device))
        for module in (states[-1].nets, states[-1].ema, states[-1].discriminator):
            module.to(dtype)
    batch, decay = batches[0].to(device, dtype), settings.train.ema_decay
    return {
        "ours": lambda: train_step(states[0], batch, settings.loss, 1.0),
        "naive": lambda: naive.train_step(states[1], batch, settings.loss, 1.0, decay),
    }, states


def assert_alike(settings, device="cpu"):
    """Assert in float64 that both ways give the same loss terms and networks, up to rounding.

    Adam's first step has the size of the learning rate, however small the gradient. So a few weights whose gradient is
    hardly more than a rounding error may differ; in float32, where rounding is coarse, they would be many.
    """
    steps, states = training_ways(settings, device, torch.float64)
    threads = torch.get_num_threads()
    torch.set_num_threads(devices.cores())
    ours, theirs = steps["ours"](), steps["naive"]()
    torch.set_num_threads(threads)
    assert {name: value.item() for name, value in ours.items()} == pytest.approx(theirs, rel=1e-9, abs=1e-11)
    a, b = (torch.cat([p.flatten() for p in state.nets.parameters()]) for state in states)
    assert ((a - b).abs() > 1e-6 * settings.train.learning_rate).double().mean() < 1e-4


def domains_step(way, num_domains, mapping_width):
    """Return a step of batch 8 at 32 px on noise of many domains: `naive` (computes all heads), `exact` or `sparse`."""
    plain = experiment(32).model_dump(mode="json")
    plain["model"]["mapping_width"], plain["train"]["sparse_heads"] = mapping_width, way == "sparse"
    settings = Experiment.model_validate(plain)
    torch.manual_seed(0)
    state = State(settings, num_domains)
    noise = [torch.rand(8, 3, 32, 32) * 2 - 1 for _ in range(3)]
    labels, latents = [torch.randint(num_domains, (8,)) for _ in range(2)], [torch.randn(8, 16) for _ in range(2)]
    batch = Batch(noise[0], labels[0], noise[1], noise[2], labels[1], *latents, torch.rand(8))

    def step():
        with pytest.MonkeyPatch.context() as patch:
            if way == "naive":
                patch.setattr("sg2bench.models.networks._select", naive.select)
            train_step(state, batch, settings.loss, 1.0)

    return step
