from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sg2bench.models.networks import Discriminator
from sg2bench.training import losses
from tests import golden

TIGHT = {"rtol": 1e-10, "atol": 1e-12}


@pytest.fixture(scope="module")
def case():
    (found,) = golden.cases("losses")
    return found.values[0]


@pytest.fixture(scope="module")
def expected(case):
    return golden.load(case)


@golden.needs_golden
def test_golden_adversarial(case, expected):
    (logits,) = golden.inputs(case)["logits"]
    for real, name in ((True, "adv_1"), (False, "adv_0")):
        leaf = logits.clone().requires_grad_()
        loss = losses.adversarial(leaf, real)
        loss.backward()
        np.testing.assert_allclose(loss.item(), expected[name], **TIGHT)
        np.testing.assert_allclose(leaf.grad, expected[f"{name}_grad"], **TIGHT)


@golden.needs_golden
def test_golden_l1(case, expected):
    style, other_style, image, other_image = golden.inputs(case)["a, b"]
    np.testing.assert_allclose(losses.l1(style, other_style), expected["l1_sty"], **TIGHT)
    np.testing.assert_allclose(losses.l1(image, other_image), expected["l1_image"], **TIGHT)


@golden.needs_golden
def test_golden_r1_toy(case, expected):
    x, w = golden.inputs(case)["r1 toy"]
    x.requires_grad_()
    penalty = losses.r1((w * x**3).flatten(1).sum(1) / 3, x)
    penalty.backward()
    np.testing.assert_allclose(penalty.item(), expected["r1_toy"], **TIGHT)
    np.testing.assert_allclose(x.grad, expected["r1_toy_grad"], **TIGHT)


@golden.needs_golden
def test_golden_r1_of_the_discriminator(case, expected):
    text = case["inputs"]["r1 net"]
    sizes = golden.config_of(re.search(r"discriminator as in (\w+)", text)[1])
    discriminator = Discriminator(sizes["img_size"], sizes["num_domains"], max_width=sizes["max_conv_dim"])
    golden.fill(discriminator, "discriminator")
    (x,) = golden.tensors(text).values()
    x.requires_grad_()
    penalty = losses.r1(discriminator(x, golden.labels(text)), x)
    np.testing.assert_allclose(penalty.item(), expected["r1_net"], **TIGHT)
    gradients = torch.autograd.grad(penalty, list(discriminator.parameters()), allow_unused=True)
    norms = [0.0 if g is None else g.norm().item() for g in gradients]
    np.testing.assert_allclose(norms, expected["r1_net_grad_l2"], **TIGHT)


@golden.needs_golden
def test_golden_diversity_weight_while_positive(expected):
    schedules = [re.fullmatch(r"lambda_ds_(\d+)_(\d+)", name) for name in expected]
    for schedule in filter(None, schedules):
        start, steps = map(int, schedule.groups())
        published = expected[schedule.string]
        ours = [losses.diversity_weight(start, step + 1, steps) for step in range(len(published))]
        np.testing.assert_allclose(ours, published.clip(min=0), atol=1e-12)
    assert any(schedules)


@given(st.floats(0, 10), st.integers(0, 300), st.integers(1, 200))
def test_diversity_weight_falls_from_start_to_zero_and_stays(start, step, steps):
    weight = losses.diversity_weight(start, step, steps)
    assert 0 <= weight <= start
    assert losses.diversity_weight(start, 0, steps) == start
    assert weight >= losses.diversity_weight(start, step + 1, steps)
    assert step < steps or weight == 0


def test_r1_of_a_linear_discriminator_is_half_its_squared_weight():
    weight = torch.arange(12.0).reshape(3, 2, 2)
    x = torch.randn(5, 3, 2, 2, requires_grad=True)
    assert losses.r1((x * weight).flatten(1).sum(1), x).item() == pytest.approx(0.5 * (weight**2).sum().item())


def test_wasserstein_is_the_mean_and_its_penalty_the_departure_of_the_gradient_from_1():
    logits = torch.tensor([1.0, -3.0])
    assert losses.adversarial(logits, True, "wasserstein").item() == 1
    assert losses.adversarial(logits, False, "wasserstein").item() == -1
    weight = torch.tensor([3.0, 4.0])
    x = torch.randn(7, 2, requires_grad=True)
    assert losses.gradient_penalty(x @ weight, x).item() == pytest.approx((5 - 1) ** 2)
