from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from sg2bench.config import Experiment
from sg2bench.data.batches import Batch
from sg2bench.training.losses import diversity_weight
from sg2bench.training.state import State
from sg2bench.training.step import train_step
from tests import golden


def golden_experiment(config):
    return Experiment(
        name="golden",
        model=golden.model(config),
        loss={
            "r1": config["lambda_reg"],
            "sty": config["lambda_sty"],
            "ds": config["lambda_ds"],
            "cyc": config["lambda_cyc"],
            "ds_steps": config["ds_iter"],
        },
        train={
            "steps": config["total_iters"],
            "batch_size": config["batch_size"],
            "learning_rate": config["lr"],
            "mapping_learning_rate": config["f_lr"],
            "beta1": config["betas"][0],
            "beta2": config["betas"][1],
            "weight_decay": config["weight_decay"],
            "ema_decay": config["ema_beta"],
        },
    )


_ALIKE = re.compile(r"((?:\w+, )*\w+) = (\w+(?:\([^)]*\))?, names )'([^']+\.)\w+' etc\.(, shape \([\d,]+\))")
"""Inputs of one law and shape, of which the manifest names the first in full."""


def golden_batch(case, step):
    given = {key: torch.tensor(value) for key, value in case["config"]["labels"][step].items()}
    for keys, law, prefix, shape in _ALIKE.findall(case["inputs"]["batches"].replace("<t>", str(step))):
        for key in keys.split(", "):
            (given[key],) = golden.tensors(f"{law}'{prefix}{key}'{shape}").values()
    return Batch(
        given["x_real"],
        given["y_org"],
        given["x_ref"],
        given["x_ref2"],
        given["y_trg"],
        given["z_trg"],
        given["z_trg2"],
        torch.zeros(len(given["x_real"])),
    )


PHASES = {"D_latent": "d_latent", "D_ref": "d_reference", "G_latent": "g_latent", "G_ref": "g_reference"}
NAMES = {"reg": "r1"}


def golden_state(experiment, num_domains):
    state = State(experiment, num_domains)
    for name, network in state.nets.named_children():
        golden.fill(network, name)
    golden.fill(state.discriminator, "discriminator")
    state.ema.double().load_state_dict(state.nets.state_dict())
    return state


def parameters_of(state):
    """{"nets" or "ema": {network: {key: tensor}}}, copies."""
    nets = state.nets.trained() | {"discriminator": state.discriminator}
    ema = state.ema.trained()
    return {
        group: {name: {k: v.detach().clone() for k, v in net.named_parameters()} for name, net in networks.items()}
        for group, networks in (("nets", nets), ("ema", ema))
    }


def assert_parameters(now, start, expected):
    for group, networks in expected.items():
        for network, parameters in networks.items():
            assert set(parameters) <= set(now[group][network])
            for key, want in parameters.items():
                value = now[group][network][key].numpy()
                delta = value - start[group][network][key].numpy()
                where = f"{group} {network}.{key}"
                np.testing.assert_allclose(value.sum(), want["sum"], rtol=1e-9, atol=1e-9, err_msg=where)
                np.testing.assert_allclose(np.linalg.norm(value), want["l2"], rtol=1e-10, err_msg=where)
                np.testing.assert_allclose(
                    np.linalg.norm(delta), want["delta_l2"], rtol=1e-7, atol=1e-12, err_msg=where
                )
                atol = 1e-9 if group == "nets" else 1e-12
                np.testing.assert_allclose(delta.sum(), want["delta_sum"], rtol=0, atol=atol, err_msg=where)


@golden.needs_golden
@pytest.mark.parametrize("case", golden.cases("training", ".json"))
def test_golden_training(case):
    expected = golden.load(case)
    config = case["config"]
    experiment = golden_experiment(config)
    state = golden_state(experiment, config["num_domains"])
    start = parameters_of(state)
    for step, want in enumerate(expected["losses"]):
        ds_weight = diversity_weight(config["lambda_ds"], step, config["ds_iter"])
        assert ds_weight == pytest.approx(want["lambda_ds_during"], rel=1e-12)
        terms = train_step(state, golden_batch(case, step), experiment.loss, ds_weight)
        computed = 0
        for golden_phase, phase in PHASES.items():
            for name, value in want[golden_phase].items():
                term = terms.get(f"{phase}/{NAMES.get(name, name)}")
                if term is not None:
                    computed += 1
                    np.testing.assert_allclose(term.item(), value, rtol=1e-9, atol=1e-11, err_msg=f"{phase}/{name}")
        assert computed == len(terms)
        after = diversity_weight(config["lambda_ds"], step + 1, config["ds_iter"])
        assert after == pytest.approx(want["lambda_ds_after"], rel=1e-12)
        assert_parameters(parameters_of(state), start, expected["parameters_after_step"][step])

    (stored,) = [other for other in golden.manifest()["cases"] if other["id"] == f"{case['id']}_outputs"]
    outputs = golden.load(stored)
    sample = stored["inputs"]["final sample"]
    (x, z), label = golden.tensors(sample).values(), golden.labels(sample)
    with torch.no_grad():
        np.testing.assert_allclose(state.discriminator(x, label), outputs["net_logit"], rtol=1e-8, atol=1e-9)
        for prefix, nets in (("ema", state.ema), ("net", state.nets)):
            styles = {"latent": nets.mapping_network(z, label), "ref": nets.style_encoder(x, label)}
            for mode, style in styles.items():
                want = outputs[f"{prefix}_image_{mode}"]
                image = nets.decode(nets.encode(x), style)
                image = image if want.shape == image.shape else image[..., ::4, ::4]
                np.testing.assert_allclose(style, outputs[f"{prefix}_style_{mode}"], rtol=1e-9, atol=1e-9)
                np.testing.assert_allclose(image, want, rtol=1e-9, atol=1e-9)
