from __future__ import annotations

import pytest
import torch
from torch import nn

from sg2bench import experiments
from sg2bench.bench import cost, counted
from sg2bench.training.state import State


def test_operations_and_bytes_of_a_layer_and_its_gradient():
    layer, x = nn.Linear(10, 20, device="meta"), torch.empty(5, 10, device="meta")
    with counted.Counted() as found:
        y = layer(x)
        assert found.flops == 2 * 5 * 10 * 20
        assert found.bytes == 4 * 5 * 20
        y.sum().backward()
        assert found.flops == 2 * 2 * 5 * 10 * 20  # none for the input, which asks for no gradient
        assert found.bytes == 4 * (5 * 20 + 20 * 10 + 20)
        del y
        layer.weight.grad = layer.bias.grad = None
    assert found.bytes == 0
    assert found.peak >= 4 * (5 * 20 + 20 * 10 + 20)


def test_a_view_holds_nothing_and_what_autograd_keeps_is_held():
    x = torch.empty(8, device="meta", requires_grad=True)
    with counted.Counted() as found:
        y = x.exp().exp().view(2, 4)
        assert found.bytes == 2 * 4 * 8
        del y
        assert found.bytes == 0


def test_a_step_holds_the_weights_that_training_has(tiny):
    state, cost = State(tiny, 3), counted.training(tiny, 3)
    averaged = sum(weight.nbytes for weight in state.ema.parameters())
    assert cost.average == averaged
    assert cost.trained == averaged + sum(weight.nbytes for weight in state.discriminator.parameters())
    assert cost.state == 3 * cost.trained + cost.average


@pytest.mark.parametrize("name", experiments.shipped())
def test_every_model_of_every_experiment_that_ships_is_counted(name):
    experiment = experiments.load(name)
    found = {resolved.model: resolved for resolved in map(experiment.resolve, experiment.variants)}
    for model, resolved in found.items():
        assert sum(counted.generator(model, 3)) > 0
        assert counted.training(resolved, 3).flops > 0


def test_a_term_that_is_off_costs_nothing(tiny):
    full, without = (counted.training(tiny.resolve(variant), 3).flops for variant in ("full", "no_ds"))
    assert without < full


def test_the_face_alignment_network_is_not_trained_and_is_in_every_file(tiny):
    plain, masked = (
        counted.training(tiny.model_copy(update={"model": tiny.model.model_copy(update={"w_hpf": w_hpf})}), 3)
        for w_hpf in (0, 1)
    )
    assert (plain.fixed, masked.fixed // 10**6) == (0, 25)
    assert masked.trained < 2 * plain.trained
    assert cost.storage_bytes(0, 0, 2, masked.fixed) == 5 * masked.fixed


def test_the_generator_runs_as_often_as_it_is_asked(tiny):
    encode, decode = counted.generator(tiny.model, 3)
    nets = State(tiny, 3).nets
    with torch.no_grad(), counted.Counted() as found:
        nets.decode(nets.encode(torch.zeros(2, 3, 32, 32)), torch.zeros(2, 5))
    assert found.flops == pytest.approx(2 * (encode + decode), rel=0.01)
