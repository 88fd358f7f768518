from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from sg2bench.config import Data
from sg2bench.data import images
from sg2bench.evaluation import frechet
from sg2bench.evaluation.evaluate import Evaluator, Value, means
from sg2bench.evaluation.protocol import Protocol
from sg2bench.evaluation.translate import style_codes, translate
from sg2bench.models.networks import Networks


@pytest.fixture
def evaluator(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("SG2BENCH_CACHE", str(tmp_path / "cache"))
    return Evaluator(tiny, images.load(tiny.data, 32))


@pytest.fixture
def nets(tiny):
    torch.manual_seed(0)
    return Networks(tiny.model, 3)


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
    styles = style_codes(nets, found, tiny.evaluate, "latent", "cat", "dog", 32)
    fakes = torch.cat(list(translate(nets, found, "cat", styles, 32, 32)))
    real = network(found.batch("train", "dog", range(6), 32)).pooled.numpy()
    expected = frechet.distance(frechet.statistics(real), network(fakes).pooled.numpy())
    measured = by_key(evaluator.model(nets))["latent", "cat", "dog", "fd_alexnet"].value
    assert measured == pytest.approx(expected, rel=1e-5)


def test_same_values_again_and_whatever_the_batch(evaluator, nets, tiny):
    first, again = evaluator.model(nets), evaluator.model(nets)
    assert first == again
    other = tiny.model_copy(update={"evaluate": tiny.evaluate.model_copy(update={"batch_size": 1})})
    assert Protocol(other.evaluate).hash == Protocol(tiny.evaluate).hash
    for a, b in zip(first, Evaluator(other, evaluator.images).model(nets), strict=True):
        assert replace(a, value=0) == replace(b, value=0)
        assert a.value == pytest.approx(b.value, rel=1e-3)  # a pixel may round the other way


def test_real_statistics_are_cached_by_content_and_a_damaged_entry_is_made_anew(evaluator, tmp_path):
    fresh = evaluator.real_statistics("alexnet", "cat")
    (entry,) = (tmp_path / "cache/real").glob("*.npz")
    evaluator._real_features = None
    cached = evaluator.real_statistics("alexnet", "cat")
    assert (cached.covariance == fresh.covariance).all()
    del evaluator._real_features
    entry.write_bytes(entry.read_bytes()[:100])
    assert (evaluator.real_statistics("alexnet", "cat").mean == fresh.mean).all()
    other = Evaluator(evaluator_experiment(seed=1), images.load(Data(train_per_domain=6, val_per_domain=5, seed=1), 32))
    assert (other.real_statistics("alexnet", "cat").mean != fresh.mean).any()


def evaluator_experiment(seed):
    from sg2bench.config import Experiment

    return Experiment(
        name="other", data={"train_per_domain": 6, "val_per_domain": 5, "seed": seed}, model={"image_size": 32},
        evaluate={"resize": 64},
    )  # fmt: skip


def test_reference_lines(evaluator):
    lines = evaluator.reference_lines()
    floor, nothing = by_key(lines["real"]), by_key(lines["sources"])
    assert set(floor) == {("none", "*", target, "fd_alexnet") for target in ("bunny", "cat", "dog", "*")}
    assert len(nothing) == 6 + 3 + 1
    assert floor["none", "*", "*", "fd_alexnet"].value < nothing["none", "*", "*", "fd_alexnet"].value
    assert {v.n_fake for v in lines["real"] + lines["sources"]} == {5}


def test_means_of_targets_and_whole():
    values = [
        Value("latent", "a", "b", "lpips", 1.0, 7, 5),
        Value("latent", "c", "b", "lpips", 3.0, 7, 5),
        Value("latent", "a", "c", "lpips", 5.0, 7, 5),
    ]
    found = {(v.source, v.target): v.value for v in means(values)}
    assert found == {("*", "b"): 2.0, ("*", "c"): 5.0, ("*", "*"): 3.0}


def test_protocol_hash_changes_with_what_values_depend_on(tiny):
    base = Protocol(tiny.evaluate).hash
    same = {"modes": ("latent",), "metrics": ("lpips",), "batch_size": 7}
    for key, value in same.items():
        assert Protocol(tiny.evaluate.model_copy(update={key: value})).hash == base
    for key, value in {"resize": 65, "sources": 9, "outputs_per_source": 9, "seed": 9}.items():
        assert Protocol(tiny.evaluate.model_copy(update={key: value})).hash != base


def test_too_few_images_are_refused(tiny):
    with pytest.raises(ValueError, match="val/bunny has 1 image; a Fréchet distance needs at least 2"):
        Evaluator(tiny, images.load(Data(train_per_domain=6, val_per_domain=1), 32))
