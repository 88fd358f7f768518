from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from sg2bench.config import Model
from sg2bench.models.networks import Discriminator, Generator, MappingNetwork, Networks, StyleEncoder
from tests import golden

pytestmark = pytest.mark.filterwarnings("error")


def build(config, w_hpf=0):
    size, widest, style = config["img_size"], config["max_conv_dim"], config["style_dim"]
    k = config.get("num_domains", 3)
    return {
        "generator": Generator(size, style, max_width=widest, w_hpf=w_hpf),
        "mapping_network": MappingNetwork(k, config.get("latent_dim", 16), style),
        "style_encoder": StyleEncoder(size, k, style, max_width=widest),
        "discriminator": Discriminator(size, k, max_width=widest),
    }


def assert_close(actual, expected):
    tolerance = {"rtol": 1e-9, "atol": 1e-10} if expected.dtype == np.float64 else {"rtol": 0, "atol": 2e-6}
    np.testing.assert_allclose(actual.numpy(), expected, **tolerance)


def network_cases():
    for case in golden.manifest()["cases"]:
        if case["kind"] == "networks" and case["file"].endswith(".npz"):
            slow = [pytest.mark.slow] if case["config"]["img_size"] >= 256 else []
            yield pytest.param(case, id=case["id"], marks=slow)


def input_names(case):
    """The name in the formula of each input of a case: the quoted word that the manifest gives."""
    return {key: text.split("'")[1::2] for key, text in case["inputs"].items()}


@golden.needs_golden
@pytest.mark.parametrize("case", list(network_cases()))
@torch.no_grad()
def test_golden_networks(case):
    config, arrays = case["config"], np.load(golden.FOLDER / case["file"])
    names, size = input_names(case), config["img_size"]
    for w_hpf in config["w_hpf"] if isinstance(config["w_hpf"], list) else [config["w_hpf"]]:
        nets = {name: golden.fill(net, name) for name, net in build(config, w_hpf).items()}
        batch = 1 if w_hpf or size >= 256 else 2
        x = golden.image(names["x"][0], (2 if "mapping_network" in arrays else 1, 3, size, size))[:batch]
        s = golden.latent(names["s"][0], (2 if "mapping_network" in arrays else 1, config["style_dim"]))[:batch]
        masks = None
        if w_hpf:
            masks = tuple(golden.mask(name, (1, 1, 256, 256)) for name in names["masks"])
        image = nets["generator"](x, s, masks)
        suffix = f"_w{w_hpf}" if f"generator_w{w_hpf}" in arrays else ""
        assert_close(image, arrays[f"generator{suffix}"])
        if f"generator{suffix}_nomasks" in arrays:
            assert_close(nets["generator"](x, s)[..., ::4, ::4], arrays[f"generator{suffix}_nomasks"])
        if "mapping_network" not in arrays:
            continue
        z = golden.latent(names["z"][0], (4, config["latent_dim"]))
        x = golden.image(names["x"][0], (2, 3, size, size))
        for label in range(config["num_domains"]):
            y = torch.full((4,), label)
            assert_close(nets["mapping_network"](z, y), arrays["mapping_network"][label])
            assert_close(nets["style_encoder"](x, y[:2]), arrays["style_encoder"][label])
            assert_close(nets["discriminator"](x, y[:2]), arrays["discriminator"][label])
        assert_close(nets["mapping_network"](z, torch.tensor([2, 0, 1, 2])), arrays["mapping_network_mixed"])


@golden.needs_golden
@pytest.mark.parametrize(("name", "k", "w_hpf"), [("k2_whpf1", 2, 1), ("k3_whpf0", 3, 0)])
def test_golden_state_dicts(name, k, w_hpf):
    expected = json.loads((golden.FOLDER / "state_dicts/state_dicts.json").read_text())["networks"][name]
    config = {"img_size": 256, "max_conv_dim": 512, "style_dim": 64, "num_domains": k}
    with torch.device("meta"):
        nets = build(config, w_hpf)
    for network, net in nets.items():
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


def test_forward_is_decode_of_encode_and_encoding_is_shared(small):
    x, s = torch.rand(2, 3, 32, 32), torch.randn(6, 5)
    one_by_one = torch.cat([small.generator(x[i // 3 : i // 3 + 1], s[i : i + 1]) for i in range(6)])
    shared = small.generator.decode(small.generator.encode(x).repeat_interleave(3), s)
    torch.testing.assert_close(shared, one_by_one)


def test_unused_heads_get_zero_gradient(small):
    small.mapping_network(torch.randn(2, 3), torch.tensor([0, 2])).sum().backward()
    gradient = small.mapping_network.unshared[1][0].weight.grad
    assert gradient is not None
    assert gradient.abs().sum() == 0


def test_initial_biases_are_zero_and_weights_have_he_s_spread():
    torch.manual_seed(0)
    generator = Generator(64, max_width=64)
    assert all((p == 0).all() for name, p in generator.named_parameters() if name.endswith("conv1.bias"))
    weight = dict(generator.named_parameters())["encode.1.conv1.weight"]
    assert weight.std().item() == pytest.approx((2 / weight[0].numel()) ** 0.5, rel=0.02)
