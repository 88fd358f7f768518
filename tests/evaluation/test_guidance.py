from __future__ import annotations

import numpy as np
import pytest

from sg2bench.config import Data, Evaluate
from sg2bench.data import sets
from sg2bench.evaluation.guidance import guide, published, source_count, take
from tests import golden


@pytest.fixture
def image_set(tiny):
    return sets.load(tiny.data, 32)


def drawn(evaluate, mode, image_set):
    guidance = guide(image_set, evaluate, mode, 3)
    return {pair: g.latents if mode == "latent" else g.references for pair, g in guidance.items()}


@pytest.mark.parametrize("mode", ["latent", "reference"])
def test_guidance_depends_on_the_pair_and_the_seed_and_on_nothing_else(image_set, tiny, mode):
    first = drawn(tiny.evaluate, mode, image_set)
    assert len(first) == 6
    assert first["cat", "dog"].shape == ((3, 2, 3) if mode == "latent" else (3, 2))
    other_seed = drawn(tiny.evaluate.model_copy(update={"seed": 1}), mode, image_set)
    two_domains = sets.load(Data(train_per_domain=6, val_per_domain=5, domains=("cat", "dog")), 32)
    assert (drawn(tiny.evaluate, mode, two_domains)["cat", "dog"] == first["cat", "dog"]).all()
    assert (first["cat", "dog"] != other_seed["cat", "dog"]).any()
    assert (first["cat", "dog"] != first["bunny", "dog"]).any()


def test_a_source_has_no_reference_twice(image_set):
    evaluate = Evaluate(outputs_per_source=5, sources=3)
    references = guide(image_set, evaluate, "reference", 3)["cat", "dog"].references
    assert all(len(set(row)) == 5 for row in references)
    many = Evaluate(outputs_per_source=7, sources=3)
    with pytest.raises(ValueError, match="val/bunny has 5 images.* set evaluate.outputs_per_source to 5 or less"):
        guide(image_set, many, "reference", 3)
    assert guide(image_set, many, "latent", 3)


def test_source_count(image_set):
    assert source_count(image_set, Evaluate(), "cat") == 5
    assert source_count(image_set, Evaluate(sources=3), "cat") == 3
    assert source_count(image_set, Evaluate(sources=99), "cat") == 5


def paper(**changes):
    return Evaluate(protocol="paper", **({"outputs_per_source": 3, "batch_size": 2} | changes))


def test_published_references_run_on_through_outputs_batches_and_sources(image_set):
    """Five sources in batches of 2, 2, 1; of five references a pass gives two batches and leaves out the last."""
    guidance = published(image_set, paper(), shuffle=False)
    first, second = guidance["bunny", "cat"].references, guidance["dog", "cat"].references
    np.testing.assert_array_equal(first, [[0, 2, 0], [1, 3, 1], [2, 0, 2], [3, 1, 3], [0, 2, 0]])
    np.testing.assert_array_equal(second[:2], [[2, 0, 2], [3, 1, 3]])
    np.testing.assert_array_equal(guidance["bunny", "dog"].references, first)


def test_published_order_is_shuffled_again_in_every_pass_and_the_same_for_a_seed(image_set):
    one, again = (guide(image_set, paper(), "reference", 3) for _ in range(2))
    other = guide(image_set, paper(seed=1), "reference", 3)
    for pair, guidance in one.items():
        assert sorted(guidance.sources) == list(range(5))
        assert (guidance.references == again[pair].references).all()
    assert any((guidance.references != other[pair].references).any() for pair, guidance in one.items())
    first_passes = one["bunny", "cat"].references
    assert (first_passes[:2, 0] != first_passes[:2, 2]).any()


def test_too_few_references_for_a_batch_are_refused(image_set):
    with pytest.raises(ValueError, match="full batches of 32, but val/bunny has only 5 images"):
        guide(image_set, paper(batch_size=32), "reference", 3)


@golden.needs_golden
@pytest.mark.parametrize("case", golden.cases("evaluation"))
def test_golden_order_of_references(case):
    config, first = case["config"], golden.load(case)["tasks"][0]["batches"][0]
    if "references" not in first or first["sources"] != sorted(first["sources"]):
        pytest.skip("the order of this case is not by name")
    found = sets.load(
        Data(source="folder", root=golden.FOLDER / case["config"]["images"].partition("/{")[0]), config["img_size"]
    )
    evaluate = paper(outputs_per_source=config["num_outs_per_domain"], batch_size=config["val_batch_size"])
    guidance = published(found, evaluate, shuffle=False)
    assert list(guidance) == [(task["source"], task["target"]) for task in golden.load(case)["tasks"]]
    for task in golden.load(case)["tasks"]:
        ours = guidance[task["source"], task["target"]]
        names = found.names["val"]
        sources = [name for batch in task["batches"] for name in batch["sources"]]
        assert [names[task["source"]][index] for index in ours.sources] == sources
        references = np.concatenate([np.transpose(batch["references"]) for batch in task["batches"]])
        assert (np.array(names[task["target"]])[ours.references] == references).all()


@pytest.mark.parametrize("protocol", ["offline", "paper"])
@pytest.mark.parametrize("mode", ["latent", "reference"])
def test_halves_are_the_same_sources_in_every_pair_and_together_all_of_them(image_set, protocol, mode):
    """Also where, as published, each pair has its sources in another order."""
    whole = guide(image_set, Evaluate(protocol=protocol, batch_size=4, outputs_per_source=2), mode, 3)
    even, odd = (take(whole, part) for part in ("even", "odd"))
    assert take(whole, "all") == whole
    for pair, given in whole.items():
        assert (sorted(even[pair].sources), sorted(odd[pair].sources)) == ([0, 2, 4], [1, 3])
        for half in (even[pair], odd[pair]):
            for place, source in enumerate(half.sources):
                (before,) = np.flatnonzero(given.sources == source)
                for name in ("latents", "references"):
                    ours, theirs = getattr(half, name), getattr(given, name)
                    assert (ours is None) == (theirs is None) == (name[:-1] not in mode)
                    assert ours is None or (ours[place] == theirs[before]).all()
