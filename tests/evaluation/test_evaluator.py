from __future__ import annotations

import hashlib
import subprocess
import sys

import numpy as np
import pytest
import torch

from sg2bench import weights
from sg2bench.catalog import METRICS
from sg2bench.config import Data, Evaluate
from sg2bench.data import sets
from sg2bench.evaluation.evaluator import Evaluator
from sg2bench.evaluation.extractors import AlexNet
from sg2bench.evaluation.guidance import guide
from sg2bench.evaluation.lines import reference_lines
from sg2bench.evaluation.measures import frechet
from sg2bench.evaluation.measures.base import Fake, measure
from sg2bench.evaluation.measures.lpips import diversity
from sg2bench.evaluation.outputs import style_codes, to_uint8, translate
from sg2bench.evaluation.protocol import VERSION, Protocol
from sg2bench.models.networks import Networks


@pytest.fixture
def evaluator(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("SG2BENCH_CACHE", str(tmp_path / "cache"))
    return Evaluator(tiny.evaluate, sets.load(tiny.data, 32), 32)


@pytest.fixture
def nets(tiny):
    torch.manual_seed(0)
    return Networks(tiny.model, 3)


def numbers(values):
    """All that rows tell of values."""
    return [(v.mode, v.source, v.target, v.metric, v.value, *v.estimate.interval(), v.n_real, v.n_fake) for v in values]


def by_key(values):
    return {(v.mode, v.source, v.target, v.metric): v for v in values}


def test_every_pair_domain_and_whole_in_both_modes(evaluator, nets):
    values = by_key(evaluator.model(nets))
    assert len(values) == 2 * 2 * (6 + 3 + 1)
    for mode in ("latent", "reference"):
        for metric in ("fd_alexnet", "lpips"):
            to_cat = [values[mode, source, "cat", metric].value for source in ("bunny", "dog")]
            assert values[mode, "*", "cat", metric].value == pytest.approx(np.mean(to_cat))
            pairs = [v.value for k, v in values.items() if k[0] == mode and k[3] == metric and k[1] != "*"]
            assert values[mode, "*", "*", metric].value == pytest.approx(np.mean(pairs))
    assert {(v.n_real, v.n_fake) for v in values.values()} == {(6, 6)}


def test_a_pair_s_distance_is_that_of_its_images_from_the_target_s_training_images(evaluator, nets, tiny):
    found, network = evaluator.images, evaluator.extractors["alexnet"]
    nets.eval()
    guidance = guide(found, tiny.evaluate, "latent", nets.latent_dim)["cat", "dog"]
    styles = style_codes(nets, found, guidance, "dog", 32, 32)
    fakes = to_uint8(torch.cat(list(translate(nets, found, "cat", guidance, styles, 32, 32))))
    real = network(found.batch("train", "dog", range(6), 32)).pooled.numpy()
    expected = frechet.distance(frechet.statistics(real), frechet.statistics(network(fakes).pooled.numpy()))
    measured = by_key(evaluator.model(nets))["latent", "cat", "dog", "fd_alexnet"].value
    assert measured == pytest.approx(expected, rel=1e-5)


def test_same_values_again_and_whatever_the_batch_and_the_threads(evaluator, nets, tiny):
    first = numbers(evaluator.model(nets))
    assert numbers(evaluator.model(nets)) == first
    for batch_size in (1, 64):
        other = tiny.evaluate.model_copy(update={"batch_size": batch_size})
        for metric in tiny.evaluate.metrics:
            assert Protocol(other, 32).hash(metric) == Protocol(tiny.evaluate, 32).hash(metric)
        assert numbers(Evaluator(other, evaluator.images, 32).model(nets)) == first
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        two_threads = Evaluator(tiny.evaluate, evaluator.images, 32).model(nets)
    finally:
        torch.set_num_threads(threads)
    assert [v.value for v in two_threads] == pytest.approx([row[4] for row in first], rel=1e-6)


def test_real_features_are_cached_by_content_and_a_damaged_entry_is_replaced(evaluator, tmp_path):
    fresh = evaluator.real["alexnet"]["cat"].features
    (entry,) = (tmp_path / "cache/real").glob("*.npz")
    evaluator = Evaluator(evaluator.evaluate, evaluator.images, 32)
    evaluator._features = None
    assert (evaluator.real["alexnet"]["cat"].features == fresh).all()
    evaluator = Evaluator(evaluator.evaluate, evaluator.images, 32)
    entry.write_bytes(entry.read_bytes()[:100])
    with pytest.warns(UserWarning, match=f"{entry.name}: damaged or changed"):
        assert (evaluator.real["alexnet"]["cat"].features == fresh).all()
    assert entry.stat().st_size > 100
    other = Evaluator(evaluator.evaluate, sets.load(Data(train_per_domain=6, val_per_domain=5, seed=1), 32), 32)
    assert (other.real["alexnet"]["cat"].features != fresh).any()


def test_each_domain_s_training_images_pass_through_the_network_once(evaluator, nets):
    passes = []
    features = evaluator._features
    evaluator._features = lambda *key: passes.append(key) or features(*key)
    evaluator.model(nets)
    assert sorted(passes) == [("alexnet", "train", domain) for domain in ("bunny", "cat", "dog")]


def test_networks_that_share_a_pass_see_real_images_once(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("SG2BENCH_CACHE", str(tmp_path / "cache"))
    metrics = ("fd_alexnet", "domain_accuracy", "nearest_training_gap")
    evaluate = tiny.evaluate.model_copy(update={"metrics": metrics})
    found, passes = sets.load(tiny.data, 32), []
    for _ in range(2):  # the second finds all in the cache
        evaluator = Evaluator(evaluate, found, 32)
        evaluator._features = lambda *key, features=evaluator._features: passes.append(key) or features(*key)
        for name in ("alexnet", "alexnet-layers"):
            real, network = evaluator.real[name], evaluator.extractors[name]
            for split, features in (("train", real["cat"].features), ("val", real.held_out("cat"))):
                images = found.batch(split, "cat", range(found.count(split, "cat")), 32)
                np.testing.assert_allclose(features, network(images).pooled, rtol=1e-5)
        assert sorted(passes) == [("alexnet", split, "cat") for split in ("train", "val")]


@pytest.mark.parametrize("changed", ["image", "image_size", "resize", "weights", "version", "domain"])
def test_real_features_of_anything_else_are_not_taken_from_the_cache(evaluator, changed, monkeypatch, tiny):
    evaluator.real["alexnet"]["cat"]
    other, domain, size = evaluator.images, "cat", 32
    evaluate = tiny.evaluate
    if changed == "image":
        other = sets.load(Data(train_per_domain=6, val_per_domain=5, seed=1), 32)
    elif changed == "resize":
        evaluate = tiny.evaluate.model_copy(update={"resize": 65})
    elif changed == "image_size":
        size = 64
    elif changed == "weights":
        monkeypatch.setattr(AlexNet, "weights_sha256", "f" * 64)
    elif changed == "version":
        monkeypatch.setattr("sg2bench.evaluation.evaluator.VERSION", VERSION + 1)
    else:
        domain = "dog"
    second = Evaluator(evaluate, other, size)
    with monkeypatch.context() as patch:
        patch.setattr(second, "_features", lambda *_: {"alexnet": np.full((3, 256), 7.0)})
        assert (second.real["alexnet"][domain].features == 7).all()
    same = Evaluator(tiny.evaluate, evaluator.images, 32)
    same._features = None
    if changed not in ("weights", "version"):
        assert (same.real["alexnet"]["cat"].features == evaluator.real["alexnet"]["cat"].features).all()


def test_two_processes_may_fill_the_cache_at_once(tiny, tmp_path, monkeypatch):
    code = (
        "import torch; from sg2bench.config import Data, Evaluate; from sg2bench.data import sets\n"
        "from sg2bench.evaluation.evaluator import Evaluator; torch.set_num_threads(1)\n"
        "found = sets.load(Data(train_per_domain=60, val_per_domain=5), 32)\n"
        "found = Evaluator(Evaluate(metrics=['fd_alexnet'], resize=64), found, 32)\n"
        "print([found.real['alexnet'][d].features.sum() for d in found.images.domains])"
    )
    monkeypatch.setenv("SG2BENCH_CACHE", str(tmp_path / "cache"))
    both = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    first, second = (process.communicate(timeout=120)[0] for process in both)
    assert first == second != ""
    assert len(list((tmp_path / "cache/real").glob("*.npz"))) == 3
    assert not list((tmp_path / "cache/real").glob(".tmp*"))


def test_every_metric_is_measured_on_the_same_features(tiny, nets, tmp_path, monkeypatch):
    monkeypatch.setenv("SG2BENCH_CACHE", str(tmp_path / "cache"))
    metrics = tuple(
        name
        for name, entry in METRICS.items()
        if "real" in entry.needs and entry.extractor.get("offline") == "alexnet" and name != "fd_alexnet_inf"
    )
    more = tiny.evaluate.model_copy(update={"metrics": metrics, "modes": ("latent",), "sources": 8})
    found = sets.load(Data(train_per_domain=9, val_per_domain=8, domains=("cat", "dog")), 32)
    evaluator = Evaluator(more, found, 32)
    passes, features = [], evaluator._features
    evaluator._features = lambda *key: passes.append(key) or features(*key)
    measured = by_key(evaluator.model(Networks(tiny.model, 2)))
    assert {key[3] for key in measured} == set(metrics)
    for metric in ("precision", "recall", "coverage"):
        assert 0 <= measured["latent", "cat", "dog", metric].value <= 1
    real = evaluator.real["alexnet"]["dog"]

    def of_itself(name, quantity):
        return measure(name).compare([quantity], real, Fake(real.features))[quantity].value

    assert of_itself("manifold", "precision") == 1
    assert of_itself("frechet", "distance") == pytest.approx(0, abs=1e-6)
    assert of_itself("kernel", "distance") < 0  # unbiased, and the same images on both sides
    lines = reference_lines(evaluator)
    assert {value.metric for value in lines["sources"]} == set(metrics)
    assert sorted(passes) == [("alexnet", split, domain) for split in ("train", "val") for domain in ("cat", "dog")]


def test_too_few_images_for_a_metric_are_refused_with_the_number_needed(tiny):
    found = sets.load(Data(train_per_domain=7, val_per_domain=8), 32)
    for metric, outputs, message in (
        (
            "fd_alexnet_inf",
            3,
            "bunny: too few images for fd_alexnet_inf, which needs 256 real images, 256 outputs and 8 sour",
        ),
        (
            "recall",
            1,
            "too few images for recall, which needs 7 real images and 7 sources of every domain, got 7 and 3",
        ),
    ):
        few = tiny.evaluate.model_copy(update={"metrics": (metric,), "outputs_per_source": outputs})
        with pytest.raises(ValueError, match=message):
            Evaluator(few, found, 32)


def test_a_model_that_gives_nan_is_refused(evaluator, nets):
    nets.generator.to_rgb[-1].bias.data[:] = float("nan")
    with pytest.raises(ValueError, match="latent cat → bunny: the model's outputs hold NaN or infinity"):
        evaluator.model(nets)


def test_a_network_that_gives_nan_for_real_images_is_refused(evaluator, tmp_path):
    evaluator.extractors["alexnet"].features["10"].bias[:] = float("nan")
    with pytest.raises(ValueError, match="alexnet: the features of train images of cat hold NaN or inf"):
        evaluator.real["alexnet"]["cat"]
    assert not list((tmp_path / "cache").rglob("*.npz"))


def test_reference_lines(evaluator):
    lines = reference_lines(evaluator)
    floor, nothing = by_key(lines["real"]), by_key(lines["sources"])
    assert set(floor) == {("none", "*", target, "fd_alexnet") for target in ("bunny", "cat", "dog", "*")}
    assert len(nothing) == 6 + 3 + 1
    assert floor["none", "*", "*", "fd_alexnet"].value < nothing["none", "*", "*", "fd_alexnet"].value
    assert {v.n_fake for v in lines["real"] + lines["sources"]} == {5}


def test_too_few_images_are_refused(tiny):
    with pytest.raises(
        ValueError,
        match="bunny: too few images for fd_alexnet, which needs 2 real images and 2 sources of every domain, got 6",
    ):
        Evaluator(tiny.evaluate, sets.load(Data(train_per_domain=6, val_per_domain=1), 32), 32)


def test_standard_is_torch_fidelity_s_fid_and_the_lpips_of_8_bit_images(tiny, tmp_path, monkeypatch):
    """On a stand-in for the Inception of 2015, whose weights no index carries: the same network, other numbers."""
    from torch_fidelity import feature_extractor_inceptionv3 as theirs

    with monkeypatch.context() as patch:
        patch.setattr(theirs, "load_state_dict_from_url", lambda *_, **__: {})
        patch.setattr(theirs.FeatureExtractorInceptionV3, "load_state_dict", lambda *_: None)
        torch.manual_seed(0)
        network = theirs.FeatureExtractorInceptionV3("inception-v3-compat", ["2048"])
    torch.save(network.state_dict(), tmp_path / "inception.pth")
    (tmp_path / weights.ALEXNET_LPIPS.file).symlink_to(weights.fetch(weights.ALEXNET_LPIPS))
    monkeypatch.setenv("SG2BENCH_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("SG2BENCH_CACHE", str(tmp_path / "cache"))
    digest = hashlib.sha256((tmp_path / "inception.pth").read_bytes()).hexdigest()
    monkeypatch.setattr(weights, "INCEPTION_2015", weights.Weights("inception.pth", digest, "Apache-2.0"))
    evaluate = Evaluate(
        protocol="standard", metrics=("fid", "lpips"), sources=3, outputs_per_source=2, modes=("latent",)
    )
    found = sets.load(Data(train_per_domain=6, val_per_domain=5, domains=("cat", "dog")), 32)
    nets = Networks(tiny.model, 2)
    evaluator = Evaluator(evaluate, found, 32)
    guidance = guide(found, evaluate, "latent", nets.latent_dim)["cat", "dog"]
    ours = by_key(evaluator.pairs(nets, "latent", {("cat", "dog"): guidance}))
    styles = style_codes(nets, found, guidance, "dog", 32, 32)
    fakes = to_uint8(torch.cat(list(translate(nets, found, "cat", guidance, styles, 32, 32))))
    with torch.inference_mode():
        real, fake = (network(batch)[0].numpy() for batch in (found.batch("train", "dog", range(6), 32), fakes))
        alexnet = evaluator.extractors["alexnet"]
        lpips = diversity(alexnet(fakes).layers, alexnet.heads, 2).mean().item()
    expected = frechet.distance(frechet.statistics(real), frechet.statistics(fake))
    assert ours["latent", "cat", "dog", "fid"].value == pytest.approx(expected, rel=1e-4)
    assert ours["latent", "cat", "dog", "lpips"].value == pytest.approx(lpips, rel=1e-5)
