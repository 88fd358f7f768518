"""The whole published evaluation, compared with its recorded values: protocol `paper`."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sg2bench import weights
from sg2bench.config import Data, Experiment
from sg2bench.data import sets
from sg2bench.data.decode import read_image
from sg2bench.evaluation.evaluator import Evaluator, means
from sg2bench.evaluation.guidance import Guidance
from sg2bench.evaluation.measures.lpips import diversity
from sg2bench.evaluation.outputs import to_uint8, translate
from sg2bench.models.networks import Networks
from tests import golden
from tests.evaluation.test_evaluator import by_key


@pytest.fixture(scope="module")
def golden_evaluator(tmp_path_factory):
    """Makes evaluators whose torchvision Inception is the golden one; cases of one configuration share theirs."""
    made = {}

    def make(config):
        key = repr(config)
        if key not in made:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(weights, "inception_torchvision", golden.inception_state)
                made[key] = Evaluator(paper_experiment(config).evaluate, golden_images(config), config["img_size"])
        return made[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SG2BENCH_CACHE", str(tmp_path_factory.mktemp("golden")))
        yield make


def golden_images(config):
    return sets.load(
        Data(source="folder", root=golden.FOLDER / config["images"].partition("/{")[0]), config["img_size"]
    )


def paper_experiment(config):
    return Experiment(
        name="golden",
        model=golden.model(config),
        evaluate={
            "protocol": "paper",
            "outputs_per_source": config["num_outs_per_domain"],
            "batch_size": config["val_batch_size"],
        },
    )


def golden_guidance(task, names, latent_dim):
    """What the file says of a task's sources, and of its references or latents."""

    def indices(domain, files):
        return np.array([names[domain].index(file) for file in files])

    batches = task["batches"]
    sources = indices(task["source"], [file for batch in batches for file in batch["sources"]])
    if "references" in batches[0]:
        given = [np.stack([indices(task["target"], files) for files in b["references"]], 1) for b in batches]
        return Guidance(sources, references=np.concatenate(given))
    given = [
        np.stack(
            [golden.draw("standard_normal", name, (len(b["sources"]), latent_dim)).numpy() for name in b["latents"]], 1
        )
        for b in batches
    ]
    return Guidance(sources, latents=np.concatenate(given).astype(np.float32))


@golden.needs_golden
@pytest.mark.parametrize("case", golden.first(golden.cases("evaluation")))
def test_golden_evaluation(case, golden_evaluator, monkeypatch):
    """LPIPS of every batch and task, FID of every task, and their means, under the `paper` protocol."""
    config, expected = case["config"], golden.load(case)
    evaluator, outputs = golden_evaluator(config), config["num_outs_per_domain"]
    found = evaluator.images
    nets = Networks(paper_experiment(config).model, len(found.domains))
    for name, network in nets.named_children():
        golden.fill(network, name).float()
    guidance = {
        (task["source"], task["target"]): golden_guidance(task, found.names["val"], nets.latent_dim)
        for task in expected["tasks"]
    }
    raws = {pair: [] for pair in guidance}

    def recorded(nets, images, source, given, *rest):
        (pair,) = [pair for pair, guided in guidance.items() if guided is given]
        for raw in translate(nets, images, source, given, *rest):
            raws[pair].append(raw)
            yield raw

    monkeypatch.setattr("sg2bench.evaluation.evaluator.translate", recorded)
    values = evaluator.pairs(nets, expected["mode"], guidance)
    measured = by_key(values + means(values))
    for task in expected["tasks"]:
        pair = task["source"], task["target"]
        fid = measured[(expected["mode"], *pair, "fid")]
        np.testing.assert_allclose(fid.value, task["fid"]["exact"], rtol=1e-4)
        np.testing.assert_allclose(fid.value, task["fid"]["official"], rtol=1e-4)
        assert (fid.n_real, fid.n_fake) == (task["fid"]["n_real"], task["fid"]["n_fake"])
        np.testing.assert_allclose(measured[(expected["mode"], *pair, "lpips")].value, task["lpips"], rtol=1e-5)
        raw = torch.cat(raws[pair])
        by_source = raw.unflatten(0, (-1, outputs)).split([len(batch["sources"]) for batch in task["batches"]])
        for batch, theirs in zip(task["batches"], by_source, strict=True):
            norms = [theirs[:, output].norm() for output in range(outputs)]
            np.testing.assert_allclose(norms, [norm for _, norm in batch["raw_outputs_sum_l2"]], rtol=1e-5)
            with torch.inference_mode():
                alexnet = evaluator.extractors["alexnet"]
                each = diversity(alexnet((theirs.flatten(0, 1) + 1) * 127.5).layers, alexnet.heads, outputs)
            np.testing.assert_allclose(each.mean(), batch["lpips"], rtol=1e-5)
        if expected["mode"] == "reference" and (np.diff(guidance[pair].sources) > 0).all():
            assert_stored_fakes(raw, "2".join(pair), outputs)
    whole = {metric: measured[expected["mode"], "*", "*", metric].value for metric in ("fid", "lpips")}
    np.testing.assert_allclose(whole["fid"], case["result"]["fid_exact"], rtol=1e-4)
    np.testing.assert_allclose(whole["lpips"], case["result"]["lpips"], rtol=1e-5)


def assert_stored_fakes(raw, task, outputs):
    """`<source>_<output>.png`, both counted from 1: within a level, in a few pixels."""
    files = list((golden.FOLDER / "evaluation/fakes" / task).glob("*.png"))
    assert files
    for file in files:
        source, output = map(int, file.stem.split("_"))
        ours = to_uint8(raw[(source - 1) * outputs + output - 1]).permute(1, 2, 0).numpy().astype(int)
        off = np.abs(ours - np.asarray(read_image(file)).astype(int))
        assert off.max() <= 1
        assert (off > 0).mean() < 0.01
