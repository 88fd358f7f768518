from __future__ import annotations

import re
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sg2bench.config import Model
from sg2bench.models.networks import (
    Discriminator,
    Generator,
    MappingNetwork,
    Networks,
    StyleEncoder,
    _select,
    build_discriminator,
)
from sg2bench.models.stargan import StarGANGenerator
from tests import golden


def build(config, w_hpf=0):
    size, widest, style = config["img_size"], config["max_conv_dim"], config["style_dim"]
    k = config.get("num_domains", 3)
    return {
        "generator": Generator(size, style, max_width=widest, w_hpf=w_hpf),
        "mapping_network": MappingNetwork(k, config.get("latent_dim", 16), style),
        "style_encoder": StyleEncoder(size, k, style, max_width=widest),
        "discriminator": Discriminator(size, k, max_width=widest),
    }


def assert_stored(actual, arrays, name):
    """`actual` is the array of that name, as far as the file holds it."""
    stored = arrays[name]
    tolerance = {"rtol": 1e-9, "atol": 1e-10} if stored.dtype == np.float64 else {"rtol": 0, "atol": 2e-6}
    np.testing.assert_allclose(actual.numpy(), stored, err_msg=name, **tolerance)
    if f"{name}_f64_every8" in arrays:
        assert_stored(actual[:, :, ::8, ::8], arrays, f"{name}_f64_every8")
        assert_stored(torch.stack([actual.sum(), actual.norm()]), arrays, f"{name}_f64_sum_l2")


@contextmanager
def watched(net, expected):
    """Compare the output of each block, on its first call, with its shape, sum and norm."""
    seen = set()

    def check(name):
        def hook(_module, _inputs, output):
            if name not in seen:
                seen.add(name)
                want = expected[name]
                assert list(output.shape) == want["shape"], name
                np.testing.assert_allclose(output.norm().item(), want["l2"], rtol=1e-9, err_msg=name)
                atol = 1e-9 * want["l2"] * output.numel() ** 0.5
                np.testing.assert_allclose(output.sum().item(), want["sum"], rtol=0, atol=atol, err_msg=name)

        return hook

    handles = [dict(net.named_modules())[name].register_forward_hook(check(name)) for name in expected]
    yield
    assert seen == set(expected)
    for handle in handles:
        handle.remove()


def intermediates(case):
    (found,) = [c for c in golden.manifest()["cases"] if c["kind"] == "networks" and c["file"].endswith(".json")]
    return golden.load(found).get(case["id"], {})


@golden.needs_golden
@pytest.mark.parametrize(
    "case", [case for case in golden.cases("networks", ".npz") if not case.values[0]["config"]["w_hpf"]]
)
@torch.no_grad()
def test_golden_networks(case):
    config, arrays, inputs, blocks = case["config"], golden.load(case), golden.inputs(case), intermediates(case)
    nets = {name: golden.fill(net, name) for name, net in build(config).items()}
    (x,), (z,), (s,) = inputs["x"], inputs["z"], inputs["s"]
    batch = len(arrays["generator"])
    with watched(nets["generator"], blocks["generator"]):
        assert_stored(nets["generator"](x[:batch], s[:batch]), arrays, "generator")
    for name, seen in (("mapping_network", z), ("style_encoder", x), ("discriminator", x)):
        with watched(nets[name], blocks.get(name, {})):
            by_label = [nets[name](seen, torch.full((len(seen),), k)) for k in range(config["num_domains"])]
        assert_stored(torch.stack(by_label), arrays, name)
    labels = golden.labels(case["arrays"]["mapping_network_mixed"]["what"])
    assert_stored(nets["mapping_network"](z, labels), arrays, "mapping_network_mixed")


@golden.needs_golden
@pytest.mark.parametrize(
    "case", [case for case in golden.cases("networks", ".npz") if case.values[0]["config"]["w_hpf"]]
)
@torch.no_grad()
def test_golden_generator_with_high_pass_skip(case):
    arrays, inputs, blocks = golden.load(case), golden.inputs(case), intermediates(case)
    (x,), (s,), masks = inputs["x"], inputs["s"], tuple(inputs["masks"])
    for w_hpf in case["config"]["w_hpf"]:
        name = f"generator_w{w_hpf}"
        generator = golden.fill(build(case["config"], w_hpf)["generator"], "generator")
        with watched(generator, blocks[name]):
            assert_stored(generator(x, s, masks), arrays, name)
        if f"{name}_nomasks" in arrays:
            assert_stored(generator(x, s)[..., ::4, ::4], arrays, f"{name}_nomasks")


def state_dict_cases():
    for case in golden.cases("state_dicts"):
        for name, text in case.values[0]["config"]["configs"].items():
            k, w_hpf = map(int, re.fullmatch(r"K=(\d+), w_hpf=(\d+)", text).groups())
            yield pytest.param(case.values[0], name, k, w_hpf, id=name)


@golden.needs_golden
@pytest.mark.parametrize(("case", "name", "k", "w_hpf"), list(state_dict_cases()))
def test_golden_state_dicts(case, name, k, w_hpf):
    with torch.device("meta"):
        nets = Networks(Model(w_hpf=w_hpf), k)
        found = dict(nets.named_children()) | {"discriminator": build_discriminator(Model(), k)}
    expected = golden.load(case)["networks"][name]
    assert set(found) == set(expected)
    for network, net in found.items():
        shapes = {key: list(value.shape) for key, value in net.state_dict().items()}
        assert shapes == expected[network]["state_dict"]
        assert sum(p.numel() for p in net.parameters()) == expected[network]["parameters"]


def test_parameter_counts_at_the_paper_s_sizes():
    with torch.device("meta"):
        nets = Networks(Model(), 3)
    counts = {name: sum(p.numel() for p in net.parameters()) for name, net in nets.named_children()}
    assert counts == {"generator": 33_892_995, "mapping_network": 3_259_072, "style_encoder": 20_949_760}


@pytest.fixture
def small():
    torch.manual_seed(0)
    model = Model(image_size=32, first_width=4, max_width=8, style_dim=5, latent_dim=3, mapping_width=8)
    return Networks(model, 3)


def test_forward_is_render_of_embed_and_the_embedding_is_shared(small):
    x, s = torch.rand(2, 3, 32, 32), torch.randn(6, 5)
    one_by_one = torch.cat([small.generator(x[i // 3 : i // 3 + 1], s[i : i + 1]) for i in range(6)])
    shared = small.generator.render(small.generator.embed(x).repeat_interleave(3), s)
    torch.testing.assert_close(shared, one_by_one)


def test_unused_heads_get_zero_gradient(small):
    small.mapping_network(torch.randn(3, 3), torch.tensor([0, 2, 0])).sum().backward()
    gradient = small.mapping_network.unshared[1][0].weight.grad
    assert gradient is not None
    assert gradient.abs().sum() == 0


def test_initial_biases_are_zero_and_weights_have_he_s_spread():
    torch.manual_seed(0)
    generator = Generator(64, max_width=64)
    assert all((p == 0).all() for name, p in generator.named_parameters() if name.endswith("conv1.bias"))
    weight = dict(generator.named_parameters())["encode.1.conv1.weight"]
    assert weight.std().item() == pytest.approx((2 / weight[0].numel()) ** 0.5, rel=0.02)


LABEL, LATENT = torch.tensor([2, 0]), torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])


@pytest.mark.parametrize(
    ("condition", "given"),
    [
        ("label", [[0, 0, 1], [1, 0, 0]]),
        ("label_map", [[0, 0, 1], [1, 0, 0]]),
        ("latent", [[1, 2, 3, 0, 0, 1], [4, 5, 6, 1, 0, 0]]),
    ],
)
def test_what_the_rungs_of_the_ladder_give_the_generator(condition, given):
    torch.manual_seed(0)
    sizes = {"image_size": 32, "first_width": 4, "max_width": 8, "style_dim": 5, "latent_dim": 3}
    nets = Networks(Model(condition=condition, **sizes), 3)
    style = nets.latent_style(LATENT, LABEL)
    assert style.tolist() == given
    x = torch.rand(2, 3, 32, 32) * 2 - 1
    assert nets.reference_style(x, LABEL).shape == style.shape
    image = nets.decode(nets.encode(x), style)
    assert image.shape == x.shape
    other = nets.decode(nets.encode(x), nets.latent_style(LATENT, torch.tensor([1, 0])))
    assert (image[0] != other[0]).any()
    torch.testing.assert_close(image[1], other[1])
    assert set(nets.trained()) == {"generator"} | ({"style_encoder"} if condition == "latent" else set())


def test_stargan_s_generator_has_its_layers_and_ends_in_tanh():
    """Parameters at 128 px and 5 domains, from the table of layers in the StarGAN paper, norms affine."""
    generator = StarGANGenerator(5, 64, 256)
    convolutions = 8 * 64 * 49 + 64 * 128 * 16 + 128 * 256 * 16 + 12 * 256 * 256 * 9
    convolutions += 256 * 128 * 16 + 128 * 64 * 16 + 64 * 3 * 49
    norms = 2 * (64 + 128 + 256 + 12 * 256 + 128 + 64)
    assert sum(p.numel() for p in generator.parameters()) == convolutions + norms
    assert 8_000_000 < convolutions + norms < 9_000_000
    x = torch.randn(1, 3, 32, 32)
    assert generator(x, torch.eye(5)[:1]).abs().max() <= 1


def test_an_auxiliary_discriminator_has_one_logit_and_a_classifier():
    discriminator = Discriminator(32, 3, first_width=4, max_width=8, auxiliary=True)
    x = torch.randn(2, 3, 32, 32)
    verdict = discriminator.judge(x, torch.tensor([0, 1]))
    assert verdict.real.shape == (2,)
    assert verdict.classes.shape == (2, 3)
    assert (discriminator(x, torch.tensor([2, 2])) == verdict.real).all()


def test_masks_come_from_the_image_that_is_encoded():
    """High-pass features where the face-alignment network sees something, none where it sees nothing."""
    nets = Networks(Model(image_size=64, first_width=4, max_width=8, style_dim=5, w_hpf=1), 2)
    encoded = nets.encode(torch.rand(1, 3, 64, 64))
    assert set(encoded.skips) == {32, 64}
    torch.nn.init.zeros_(nets.fan.l0.weight)
    torch.nn.init.zeros_(nets.fan.l0.bias)
    assert all(skip.count_nonzero() == 0 for skip in nets.encode(torch.rand(1, 3, 64, 64)).skips.values())


@given(st.lists(st.integers(0, 11), min_size=1, max_size=6))
@settings(max_examples=25)
def test_every_sample_gets_its_own_head_however_many_there_are(labels):
    torch.manual_seed(0)
    heads = nn.ModuleList(nn.Linear(3, 2) for _ in range(12)).double()
    shared = torch.randn(len(labels), 3, dtype=torch.float64)
    expected = torch.stack([heads[label](row) for label, row in zip(labels, shared, strict=True)])
    torch.testing.assert_close(_select(heads, shared, torch.tensor(labels)), expected)
