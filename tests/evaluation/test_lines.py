from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score

from sg2bench.catalog import REFERENCE_LINES
from sg2bench.config import Evaluate
from sg2bench.evaluation.evaluator import Evaluator
from sg2bench.evaluation.guidance import guide
from sg2bench.evaluation.lines import reference_lines
from sg2bench.evaluation.measures.domains import classifier
from tests.evaluation.measures.known import in_memory, random_picture

SIDE, COUNT = 32, 5
KEPT = ("source_retrieval", "lpips_to_source")
ALL = ("fd_alexnet", "domain_accuracy", *KEPT, "lpips", "truth_lpips", "truth_l1", "nearest_training_gap")


def right_image(source, index, target, reference):
    return random_picture([index, reference], SIDE)


def evaluator(metrics=ALL, truth=right_image, **evaluate):
    images = in_memory(train=6, val=COUNT, side=SIDE, truth=truth)
    return Evaluator(Evaluate(metrics=metrics, resize=64, outputs_per_source=2, **evaluate), images, SIDE)


@pytest.fixture(scope="module")
def measured():
    return evaluator()


@pytest.fixture(scope="module")
def lines(measured):
    return {
        line: {(value.source, value.target, value.metric): value for value in values}
        for line, values in reference_lines(measured).items()
    }


def test_each_line_has_the_metrics_that_it_can_have(lines):
    assert list(lines) == list(REFERENCE_LINES)
    of_features, followed = {"fd_alexnet", "domain_accuracy", "nearest_training_gap"}, {"truth_lpips", "truth_l1"}
    metrics = {line: {metric for *_, metric in values} for line, values in lines.items()}
    assert metrics["real"] == of_features
    assert metrics["truth"] == set(ALL)
    assert metrics["sources"] == of_features | set(KEPT) | followed
    assert metrics["references"] == metrics["means"] == set(KEPT) | followed
    assert {value.mode for values in lines.values() for value in values.values()} == {"none"}


def test_every_pair_domain_and_whole(lines):
    for line in ("sources", "references", "means", "truth"):
        places = {key[:2] for key in lines[line] if key[2] == "truth_l1"}
        assert places == {("a", "b"), ("b", "a"), ("*", "a"), ("*", "b"), ("*", "*")}
        pairs = [lines[line][pair, other, "truth_l1"].value for pair, other in (("a", "b"), ("b", "a"))]
        assert lines[line]["*", "*", "truth_l1"].value == pytest.approx(np.mean(pairs))
        assert {value.n_fake for (*_, metric), value in lines[line].items() if metric == "truth_l1"} == {COUNT * 2}
    assert {key[:2] for key in lines["real"]} == {("*", "a"), ("*", "b"), ("*", "*")}


def test_right_images_are_right_and_sources_themselves(lines):
    assert lines["truth"]["*", "*", "truth_l1"].value == 0
    assert lines["truth"]["*", "*", "truth_lpips"].value == 0
    assert lines["sources"]["*", "*", "lpips_to_source"].value == pytest.approx(0, abs=1e-7)
    assert lines["sources"]["*", "*", "source_retrieval"].value == 1
    assert lines["real"]["*", "*", "nearest_training_gap"].value == pytest.approx(0, abs=1e-12)


def test_distances_of_sources_references_and_means_by_hand(measured, lines):
    images, guided = measured.images, guide(measured.images, measured.evaluate, "reference", 1)["a", "b"]

    def pixels(image):
        return np.asarray(image, float)

    mean = np.mean([pixels(images.image("train", "b", index)) for index in range(6)], 0).round()
    found = {"sources": [], "references": [], "means": []}
    for source, references in zip(guided.sources, guided.references, strict=True):
        for reference in references:
            right = pixels(right_image("a", source, "b", reference))
            found["sources"].append(np.abs(pixels(images.image("val", "a", source)) - right).mean())
            found["references"].append(np.abs(pixels(images.image("val", "b", reference)) - right).mean())
            found["means"].append(np.abs(mean - right).mean())
    for line, each in found.items():
        assert lines[line]["a", "b", "truth_l1"].value == pytest.approx(np.mean(each), rel=1e-5)
    assert lines["means"]["a", "b", "truth_l1"].value < lines["references"]["a", "b", "truth_l1"].value


def test_the_classifier_s_accuracy_on_real_images_is_the_line_real(measured, lines):
    real = measured.real[measured.protocol.extractor("domain_accuracy")]
    taken = classifier(real).predict(real.held_out("b"))
    assert lines["real"]["*", "b", "domain_accuracy"].value == pytest.approx(accuracy_score(["b"] * COUNT, taken))
    taken = classifier(real).predict(real.held_out("a"))
    assert lines["sources"]["a", "b", "domain_accuracy"].value == pytest.approx(np.mean(taken == "b"))


def test_right_images_in_the_place_of_outputs_score_as_if_a_model_had_made_them(measured, lines):
    given = guide(measured.images, measured.evaluate, "reference", 1)["a", "b"]
    right, _ = measured.originals("a", "b", given.sources).truths(given.sources, given.references)
    for sizes in ([2 * COUNT], [4, 6]):
        values = measured.pair("reference", "a", "b", torch.split(right, sizes), given.sources, 2, given.references)
        for value in values:
            line = lines["truth"]["a", "b", value.metric]
            assert line.value == pytest.approx(value.value, rel=1e-6, abs=1e-9)
            assert line.estimate.interval() == pytest.approx(value.estimate.interval(), rel=1e-5, abs=1e-9)


def test_in_latent_mode_only_sources_stand_in_the_place_of_outputs():
    found = reference_lines(evaluator(("fd_alexnet", *KEPT), modes=["latent"]))
    assert {line for line, values in found.items() if values} == {"real", "sources"}
    assert {value.metric for value in found["sources"]} == {"fd_alexnet", *KEPT}


def test_where_some_right_images_are_missing_there_is_no_line_of_them():
    def some(source, index, target, reference):
        return right_image(source, index, target, reference) if reference else None

    found = reference_lines(evaluator(("truth_l1", "lpips_to_source"), truth=some, modes=["reference"]))
    assert {line for line, values in found.items() if values} == {"sources", "references", "means"}
    of_all = {value.n_fake for value in found["means"] if value.metric == "lpips_to_source"}
    of_known = {value.n_fake for value in found["means"] if value.metric == "truth_l1"}
    assert of_all == {COUNT * 2}
    assert max(of_known) < COUNT * 2


def test_a_line_has_means_only_over_all_pairs_that_models_have():
    """Some right images of b in a are missing, so that pair has no line: means would be over other pairs."""

    def one_way(source, index, target, reference):
        return right_image(source, index, target, reference) if target == "b" or reference else None

    found = reference_lines(evaluator(("truth_l1",), truth=one_way, modes=["reference"]))["truth"]
    assert {(value.source, value.target) for value in found} == {("a", "b"), ("*", "b")}


def test_half_of_the_sources_are_enough_for_lines():
    found = reference_lines(evaluator(("truth_l1",), modes=["reference"], sources=3))
    assert {value.n_fake for values in found.values() for value in values} == {6}
