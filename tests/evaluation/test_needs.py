from __future__ import annotations

from dataclasses import replace

import pytest

from sg2bench.catalog import METRICS, default_metrics
from sg2bench.config import Data, Evaluate
from sg2bench.data import sets
from sg2bench.evaluation.evaluator import Evaluator
from sg2bench.evaluation.needs import with_metrics
from tests.evaluation.measures.known import in_memory, random_picture

MEANINGS = {
    "outputs": "two or more outputs per source",
    "sources": "the validation images that were translated",
    "references": "the reference of each output",
    "truth": "images whose right translation is known",
    "factors": "images with known factors: critters",
}


def known(*what):
    """Random images with truth or factors that nobody calls."""
    return in_memory(**dict.fromkeys(what, lambda *_: pytest.fail("asked for")))


def usual(images, lacking=(), **evaluate):
    return set(with_metrics(Evaluate(**evaluate), images, lacking).metrics)


def that_need(what):
    return {name for name in default_metrics("offline") if what in METRICS[name].needs}


def test_images_that_have_all_are_measured_by_all():
    found = with_metrics(Evaluate(), known("truth", "factors")).metrics
    assert found == default_metrics("offline")
    assert usual(known("truth", "factors"), protocol="paper") == {"fid", "lpips"}


@pytest.mark.parametrize("without", ["truth", "factors"])
def test_without_truth_or_factors_their_metrics_are_left_out(without):
    has = {"truth", "factors"} - {without}
    assert usual(known(*has)) == set(default_metrics("offline")) - that_need(without)
    assert that_need(without)


@pytest.mark.parametrize("lacking", MEANINGS)
def test_the_usual_ones_need_nothing_that_is_lacking(lacking):
    found = usual(known("truth", "factors"), {lacking})
    assert found == set(default_metrics("offline")) - that_need(lacking)
    assert "fd_alexnet" in found


def test_the_usual_ones_are_measured_in_the_modes_asked_for():
    images = known("truth", "factors")
    latent, reference = (usual(images, modes=[mode]) for mode in ("latent", "reference"))
    assert latent | reference == usual(images)
    assert latent - reference == {"style_spread"}
    assert reference - latent == {"truth_lpips", "truth_l1", "colour_error", "stripe_error"}


@pytest.mark.parametrize(
    ("metric", "missing", "images", "lacking"),
    [
        ("truth_l1", "truth", known("factors"), ()),
        ("truth_lpips", "references", known("truth"), ("references",)),
        ("position_error", "factors", known("truth"), ()),
        ("colour_error", "factors", known(), ()),
        ("style_spread", "factors", known(), ()),
        ("style_spread", "outputs", known("factors"), ("outputs",)),
        ("lpips", "outputs", known(), ("outputs",)),
        ("source_retrieval", "sources", known(), ("sources",)),
    ],
)
def test_a_metric_asked_for_that_the_images_do_not_allow_is_refused(metric, missing, images, lacking):
    with pytest.raises(ValueError, match=f"^{metric} needs {MEANINGS[missing]}.*; leave it out with evaluate.metrics$"):
        with_metrics(Evaluate(metrics=["fd_alexnet", metric]), images, lacking)
    if not lacking:
        with pytest.raises(ValueError, match=f"^{metric} needs {MEANINGS[missing]}"):
            Evaluator(Evaluate(metrics=[metric]), images, 32)


def test_one_domain_alone_is_enough_for_what_compares_with_its_images():
    images = known()
    alone = replace(images, names={split: dict([*names.items()][:1]) for split, names in images.names.items()})
    assert "domain_accuracy" not in usual(alone)
    assert "fd_alexnet" in usual(alone)
    with pytest.raises(ValueError, match="domain_accuracy needs real images of two or more domains; leave it out"):
        with_metrics(Evaluate(metrics=["domain_accuracy"]), alone)


def test_a_set_without_validation_images_has_neither_sources_nor_references():
    images = in_memory()
    images = replace(images, names={**images.names, "val": dict.fromkeys(images.domains, ())})
    assert not any({"sources", "references"} & METRICS[name].needs for name in usual(images))
    with pytest.raises(ValueError, match="lpips_to_source needs the validation images"):
        with_metrics(Evaluate(metrics=["lpips_to_source"]), images)


def test_one_metric_s_mode_and_another_s_outputs_are_refused_before_any_image():
    for refused, message in (
        ({"metrics": ["truth_l1"], "modes": ["latent"]}, "truth_l1 is measured in mode reference"),
        ({"metrics": ["style_spread"], "modes": ["reference"]}, "style_spread is measured in mode latent"),
        ({"metrics": ["style_spread"], "outputs_per_source": 1}, "style_spread compares the outputs of a source"),
    ):
        with pytest.raises(ValueError, match=message):
            Evaluate(**refused)
    assert Evaluate(metrics=["truth_l1", "style_spread"]).measured == [
        ("truth_l1", "reference"),
        ("style_spread", "latent"),
    ]


@pytest.mark.parametrize("found", [0, 1])
def test_too_few_right_images_are_refused_before_any_output(found):
    """Only the first so many sources have right images."""

    def truth(source, index, target, reference):
        return images.image("val", target, reference) if index < found else None

    images = in_memory(side=32, truth=truth)
    evaluate = Evaluate(metrics=["truth_l1", "truth_lpips"], modes=["reference"], outputs_per_source=2, resize=64)
    with pytest.raises(
        ValueError, match=rf"truth_l1 and truth_lpips need right images for 2 or more sources, found {found}"
    ):
        Evaluator(evaluate, images, 32)


def test_a_folder_has_truth_if_its_names_say_so_and_never_factors(tmp_path):
    for split in ("train", "val"):
        for domain in ("serif", "sans"):
            (tmp_path / split / domain).mkdir(parents=True)
            for content in "xyz":
                random_picture([*f"{split}{domain}{content}".encode()], 32).save(
                    tmp_path / split / domain / f"{content}.png"
                )

    def usual_of_the_folder():
        return usual(sets.load(Data(source="folder", root=tmp_path), 32))

    assert usual_of_the_folder() == set(default_metrics("offline")) - that_need("truth") - that_need("factors")
    evaluate = Evaluate(metrics=["truth_l1"], modes=["reference"], outputs_per_source=2)
    with pytest.raises(ValueError, match=r"^truth_l1 needs images whose right translation is known"):
        Evaluator(evaluate, sets.load(Data(source="folder", root=tmp_path), 32), 32)
    for file in tmp_path.rglob("*.png"):
        file.rename(file.with_stem(f"{file.stem}__plain"))
    assert usual_of_the_folder() == set(default_metrics("offline")) - that_need("factors")
    Evaluator(evaluate, sets.load(Data(source="folder", root=tmp_path), 32), 32)
