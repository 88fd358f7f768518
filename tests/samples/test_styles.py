from __future__ import annotations

import numpy as np
import pytest
import torch

from sg2bench.evaluation.outputs import to_float
from sg2bench.models import checkpoints
from sg2bench.models.networks import Networks
from sg2bench.samples import styles
from sg2bench.samples.pictures import read_pictures

DOMAINS = ("bunny", "cat")


def test_domains_are_named_as_given_or_by_number():
    assert styles.name_domains(2, ["cat", "dog"]) == ("cat", "dog")
    assert styles.name_domains(3, None) == ("domain-0", "domain-1", "domain-2")
    with pytest.raises(ValueError, match="name each of the model's 2 domains once"):
        styles.name_domains(2, ["cat", "cat"])
    for odd in ("../up", "a/b", ".cat", "", "a\\b"):
        with pytest.raises(ValueError, match="cannot name a folder"):
            styles.name_domains(2, ["cat", odd])


def test_psi_draws_latent_styles_toward_the_domain_s_mean(nets):
    as_drawn, half, mean = (styles.latent_styles(nets, DOMAINS, 3, psi) for psi in (1.0, 0.5, 0.0))
    assert [(style.domain, style.name) for style in as_drawn] == [(d, f"seed-{i}") for d in DOMAINS for i in range(3)]
    many = torch.from_numpy(np.random.default_rng(0).standard_normal((10_000, 3), dtype=np.float32))
    with torch.inference_mode():
        middle = nets.mapping_network(many, torch.zeros(10_000, dtype=torch.int64)).mean(0)
    torch.testing.assert_close(mean[2].code, middle)
    torch.testing.assert_close(half[0].code, (as_drawn[0].code + middle) / 2)
    assert (mean[0].code != mean[3].code).any()


def test_references_are_of_the_domain_of_their_folder(nets, folder):
    pictures = read_pictures(folder, 32)
    taken = styles.reference_styles(nets, DOMAINS, pictures, folder)
    with torch.inference_mode():
        expected = nets.style_encoder(to_float(pictures[2].pixels[None]), torch.tensor([1]))[0]
    torch.testing.assert_close(taken[2].code, expected)
    with pytest.raises(ValueError, match=r"named by domain \(cat, dog\), found `bunny`"):
        styles.reference_styles(nets, ("cat", "dog"), pictures, folder)


def test_a_model_without_style_takes_no_references(tiny, folder):
    model = tiny.model.model_copy(update={"condition": "label"})
    with pytest.raises(ValueError, match="takes no references"):
        styles.reference_styles(Networks(model, 2), DOMAINS, read_pictures(folder, 32), folder)


def test_psi_needs_a_mapping_network(tiny):
    nets = Networks(tiny.model.model_copy(update={"condition": "latent"}), 2)
    with pytest.raises(ValueError, match="--psi truncates style codes"):
        styles.latent_styles(nets, DOMAINS, 2, 0.5)


def test_a_checkpoint_in_a_run_s_folder_is_of_that_run_s_model(nets, tiny, tmp_path):
    path = checkpoints.save_ema(nets, tmp_path, 4)
    of_run = tiny.model_copy(update={"data": tiny.data.model_copy(update={"domains": DOMAINS})})
    assert styles.model_and_domains(path, of_run, None, None, None, by_reference=True) == (tiny.model, DOMAINS)
    for named in (("a", "b"), ("cat2", "cat"), DOMAINS):
        assert styles.model_and_domains(path, of_run, None, None, named, by_reference=True)[1] == named
    for named in (DOMAINS[::-1], ("cat", "b")):
        with pytest.raises(ValueError, match="--domains cat,.*: the model's domains are bunny,cat, in this order"):
            styles.model_and_domains(path, of_run, None, None, named, by_reference=True)


def test_a_published_file_has_the_model_of_its_shapes_and_the_names_given(nets, tiny, tmp_path):
    path = checkpoints.save_ema(nets, tmp_path, 4)
    model, names = styles.model_and_domains(path, None, None, None, None, by_reference=False)
    assert (model, names) == (tiny.model, ("domain-0", "domain-1"))
    assert styles.model_and_domains(path, None, None, None, ["dog", "cat"], by_reference=True)[1] == ("dog", "cat")
    with pytest.raises(ValueError, match="--references needs the names of the domains"):
        styles.model_and_domains(path, None, None, None, None, by_reference=True)
    with pytest.raises(ValueError, match="--variant needs --experiment"):
        styles.model_and_domains(path, None, None, "full", None, by_reference=False)
