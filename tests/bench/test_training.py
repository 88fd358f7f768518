"""What a training step costs beside the naive way: `pytest tests/bench/test_training.py --benchmark-only`."""

from __future__ import annotations

import pytest
import torch

from sg2bench.config import Experiment
from sg2bench.data import images
from sg2bench.data.batches import Batch, Batches
from sg2bench.training.step import State, train_step
from tests.bench import naive

DATA = {"train_per_domain": 8, "val_per_domain": 2}
PAPER = Experiment(name="paper", data=DATA)
"""The paper's settings, on critters."""


def experiment(image_size, batch_size=8):
    return Experiment(
        name="bench",
        data=DATA,
        model={"image_size": image_size, "first_width": 16, "max_width": 64},
        train={"batch_size": batch_size},
    )


def ways(settings, device="cpu", **train):
    """A step of ours, with its own settings for `train`, and of the naive way, each on its own networks, which begin
    alike, and the two states.
    """
    found, size = images.load(settings.data, settings.model.image_size), settings.train.batch_size
    batches = Batches(found, 0, size, settings.model.image_size, settings.model.latent_dim, 0.5)
    plain = settings.model_dump(mode="json")
    ours = Experiment.model_validate(plain | {"train": plain["train"] | train})
    states = []
    for make, chosen in ((State, ours), (naive.training_state, settings)):
        torch.manual_seed(0)
        states.append(make(chosen, len(found.domains), device))
    batch, decay = batches[0].to(device), settings.train.ema_decay
    return {
        "ours": lambda: train_step(states[0], batch, settings.loss, 1.0),
        "naive": lambda: naive.train_step(states[1], batch, settings.loss, 1.0, decay),
    }, states


def assert_alike(settings, device="cpu"):
    """Both ways give the same terms, and the same networks but for rounding: Adam's first step has the size of the
    rate, whatever the gradient's, so a few weights, whose gradient is hardly more than rounding, may go elsewhere.
    """
    steps, states = ways(settings, device)
    ours, theirs = steps["ours"](), steps["naive"]()
    assert {name: value.item() for name, value in ours.items()} == pytest.approx(theirs, rel=1e-3, abs=1e-4)
    a, b = (torch.cat([p.flatten() for p in state.nets.parameters()]) for state in states)
    assert ((a - b).abs() > 0.1 * settings.train.learning_rate).float().mean() < 0.01


def domains_step(way, num_domains, mapping_width):
    """A step of batch 8 at 32 px on noise of many domains: `naive` (all heads computed), `exact` or `sparse`."""
    plain = experiment(32).model_dump(mode="json")
    plain["model"]["mapping_width"], plain["train"]["sparse_heads"] = mapping_width, way == "sparse"
    settings = Experiment.model_validate(plain)
    torch.manual_seed(0)
    state = State(settings, num_domains)
    images = [torch.rand(8, 3, 32, 32) * 2 - 1 for _ in range(3)]
    labels, latents = [torch.randint(num_domains, (8,)) for _ in range(2)], [torch.randn(8, 16) for _ in range(2)]
    batch = Batch(images[0], labels[0], images[1], images[2], labels[1], *latents, torch.rand(8))

    def step():
        with pytest.MonkeyPatch.context() as patch:
            if way == "naive":
                patch.setattr("sg2bench.models.networks._select", naive.select)
            train_step(state, batch, settings.loss, 1.0)

    return step


@pytest.mark.parametrize("way", ["ours", pytest.param("compiled", marks=pytest.mark.slow), "naive"])
@pytest.mark.filterwarnings("ignore")  # those of torch.compile about its own insides
@pytest.mark.parametrize("image_size", [32, 64])
@pytest.mark.benchmark(group="training step, batch 8, widths 16 to 64")
def test_step(benchmark, way, image_size):
    assert_alike(experiment(image_size))
    steps, _ = ways(experiment(image_size), compile=way == "compiled")
    benchmark.pedantic(steps["naive" if way == "naive" else "ours"], rounds=10, warmup_rounds=2)
