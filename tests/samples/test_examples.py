from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from sg2bench.data import sets
from sg2bench.data.images import ImageSet
from sg2bench.evaluation.outputs import to_float, to_uint8
from sg2bench.models.networks import Networks
from sg2bench.samples.examples import choose, examples

SIDE = 32


def rows_of(picture):
    """(rows, columns, SIDE, SIDE, 3)."""
    down, across = picture.height // SIDE, picture.width // SIDE
    return np.asarray(picture).reshape(down, SIDE, across, SIDE, 3).swapaxes(1, 2)


def uniform(counts, truth=None):
    """White images, so many in each domain."""
    names = {domain: tuple(map(str, range(count))) for domain, count in counts.items()}
    return ImageSet({"train": names, "val": names}, lambda *_: Image.new("RGB", (SIDE, SIDE), "white"), "", truth)


def test_source_reference_right_image_and_output_of_each_column(tiny):
    torch.manual_seed(0)
    nets, images = Networks(tiny.model, 3), sets.load(tiny.data, SIDE)
    found = rows_of(examples(nets, images, SIDE))
    assert found.shape == (4, 8, SIDE, SIDE, 3)
    for column, (source, index, target, place) in enumerate(choose(images)):
        shown = found[:, column]
        np.testing.assert_array_equal(shown[0], np.asarray(images.image("val", source, index)))
        np.testing.assert_array_equal(shown[1], np.asarray(images.image("val", target, place)))
        np.testing.assert_array_equal(shown[2], np.asarray(images.truth(source, index, target, place)))
        with torch.inference_mode():
            label = torch.tensor([images.domains.index(target)])
            style = nets.style_encoder(to_float(images.batch("val", target, [place], SIDE)), label)
            output = nets.generator(to_float(images.batch("val", source, [index], SIDE)), style)
        expected = to_uint8(output)[0].permute(1, 2, 0).numpy()
        assert np.abs(shown[3].astype(int) - expected).max() <= 1


def test_a_set_without_truth_has_no_row_of_right_images(tiny):
    images = replace(sets.load(tiny.data, SIDE), truth=None)
    assert examples(Networks(tiny.model, 3), images, SIDE).size == (8 * SIDE, 3 * SIDE)


@pytest.mark.parametrize("domains", [2, 3, 5, 8])
def test_every_domain_is_a_source_and_a_target_of_another(domains):
    counts = {f"d{place}": 1 + 30 * place for place in range(domains)}
    chosen = choose(uniform(counts))
    assert len(chosen) == 8
    assert {source for source, *_ in chosen} == {target for _, _, target, _ in chosen} == set(counts)
    for source, index, target, reference in chosen:
        assert source != target
        assert 0 <= index < counts[source]
        assert 0 <= reference < counts[target]
    assert chosen == choose(uniform(counts))


def test_of_many_domains_the_first_are_shown():
    chosen = choose(uniform({f"d{place:02}": 5 for place in range(20)}))
    assert [source for source, *_ in chosen] == [f"d{place:02}" for place in range(8)]


def test_where_the_right_image_is_not_in_the_set_another_source_is_taken_or_it_is_white(tiny):
    black = Image.new("RGB", (SIDE, SIDE))
    some = uniform({"a": 9, "b": 9}, lambda source, index, target, reference: black if index % 4 == 3 else None)
    assert {index % 4 for _, index, _, _ in choose(some)} == {3}
    none = uniform({"a": 9, "b": 9}, lambda *_: None)
    assert choose(none) == choose(replace(none, truth=None))
    assert (rows_of(examples(Networks(tiny.model, 2), none, SIDE))[2] == 255).all()
