from __future__ import annotations

import csv
import hashlib
import pickle
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sg2bench.config import Data
from sg2bench.data import critters, sets


def picture(domain, index=0, size=32, seed=0):
    return critters.draw(domain, critters.factors(domain, "train", index, seed), size)


def test_pixels_are_the_same_on_every_machine():
    """A change of these pixels is a new data set: raise critters.VERSION with it."""
    digest = hashlib.sha256()
    for domain in critters.DOMAINS:
        for index in range(8):
            digest.update(picture(domain, index).tobytes())
    assert digest.hexdigest()[:16] == "7e03160b0b3af785"


@settings(max_examples=20)
@given(st.sampled_from(critters.DOMAINS), st.integers(0, 10_000), st.integers(0, 5))
def test_factors_are_in_range_and_a_function_of_their_arguments(domain, index, seed):
    made_of = critters.factors(domain, "val", index, seed)
    assert made_of == critters.factors(domain, "val", index, seed)
    assert made_of != critters.factors(domain, "train", index, seed)
    assert 0 < made_of.x < 1
    assert 0 < made_of.y < 1
    assert 0.2 < made_of.radius < 0.4
    assert all(0 <= channel <= 255 for colour in (made_of.fur, made_of.eyes, made_of.background) for channel in colour)


@pytest.mark.parametrize("size", [32, 64, 128])
@pytest.mark.parametrize("domain", critters.DOMAINS)
def test_every_size_shows_the_same_picture(domain, size):
    small = picture(domain, size=32).astype(float)
    large = picture(domain, size=size).astype(float)
    factor = size // 32
    reduced = large.reshape(32, factor, 32, factor, 3).mean((1, 3))
    assert large.shape == (size, size, 3)
    assert np.abs(small - reduced).mean() < 4


def test_content_moves_the_head_and_style_colours_it():
    made_of = replace(critters.factors("cat", "train", 0, 0), angle=0, stripes=0)
    picture_of = critters.draw("cat", made_of, 64).astype(int)
    background = (picture_of == made_of.background).all(-1)
    moved = critters.draw("cat", replace(made_of, x=made_of.x + 4 / 64), 64).astype(int)
    assert ((moved == made_of.background).all(-1)[:, 4:] == background[:, :-4]).all()
    recoloured = critters.draw("cat", replace(made_of, background=(1, 2, 3)), 64)
    assert ((recoloured == (1, 2, 3)).all(-1) == background).all()
    assert (picture_of[int(made_of.y * 64) - 13, int(made_of.x * 64)] == made_of.fur).all()


def test_domains_differ_in_shape_alone():
    made_of = critters.factors("cat", "train", 3, 0)
    pictures = [critters.draw(domain, made_of, 32) for domain in critters.DOMAINS]
    assert all((p[0, 0] == made_of.background).all() for p in pictures)
    assert all((a != b).any() for a in pictures for b in pictures if a is not b)


def test_critters_set_is_what_was_drawn():
    found = sets.load(Data(train_per_domain=3, val_per_domain=2, seed=4), 32)
    assert found.domains == critters.DOMAINS
    assert (found.count("train", "cat"), found.count("val", "cat")) == (3, 2)
    expected = critters.draw("dog", critters.factors("dog", "val", 1, 4), 32)
    assert (np.asarray(found.image("val", "dog", 1)) == expected).all()
    fingerprints = {
        sets.load(Data(train_per_domain=3, val_per_domain=2, seed=seed), size).fingerprint
        for seed, size in ((4, 32), (5, 32), (4, 64))
    }
    assert len(fingerprints) == 3


CRITTERS = sets.load(Data(train_per_domain=1, val_per_domain=6, seed=4), 32)
PLACES = st.tuples(st.sampled_from(critters.DOMAINS), st.integers(0, 5))


@settings(max_examples=30)
@given(PLACES, PLACES)
def test_truth_is_the_target_s_head_with_the_source_s_content_and_the_reference_s_style(source, reference):
    of_source, of_reference = (critters.factors(domain, "val", index, 4) for domain, index in (source, reference))
    expected = critters.Factors(
        **{name: getattr(of_source, name) for name in ("x", "y", "radius", "angle")},
        **{name: getattr(of_reference, name) for name in ("fur", "eyes", "background", "stripes")},
    )
    assert critters.mixed(of_source, of_reference) == expected
    assert (np.asarray(CRITTERS.truth(*source, *reference)) == critters.draw(reference[0], expected, 32)).all()


@given(PLACES)
@settings(max_examples=18)
def test_truth_of_an_image_in_its_own_style_is_the_image(place):
    assert CRITTERS.truth(*place, *place) == CRITTERS.image("val", *place)


def test_factors_are_those_that_images_are_drawn_from():
    for split, count in (("train", 1), ("val", 6)):
        for index in range(count):
            drawn = critters.draw("dog", CRITTERS.factors(split, "dog", index), 32)
            assert (np.asarray(CRITTERS.image(split, "dog", index)) == drawn).all()


def test_truth_and_factors_reach_other_processes():
    found = pickle.loads(pickle.dumps(CRITTERS))
    assert found.factors("val", "cat", 3) == CRITTERS.factors("val", "cat", 3)
    assert found.truth("cat", 3, "dog", 1) == CRITTERS.truth("cat", 3, "dog", 1)


def test_fingerprints_are_what_they_were_before_there_was_truth():
    assert sets.load(Data(train_per_domain=400, val_per_domain=100), 32).fingerprint == "4bf02f31884f5a31"


@settings(max_examples=20)
@given(st.sampled_from(critters.DOMAINS), st.integers(0, 10_000))
def test_all_factors_are_in_the_ranges_that_a_file_may_have(domain, index):
    made_of = critters.factors(domain, "train", index, 0)
    for name, (low, high) in critters.RANGES.items():
        assert low - 1 / 4096 <= getattr(made_of, name) <= high + 1 / 4096


def test_exported_critters_load_as_a_folder_with_their_factors(tmp_path):
    data = Data(train_per_domain=2, val_per_domain=1)
    assert critters.export(data, 32, tmp_path / "out") == 9
    exported, drawn = sets.load(Data(source="folder", root=tmp_path / "out"), 32), sets.load(data, 32)
    assert (exported.batch("train", "dog", range(2), 32) == drawn.batch("train", "dog", range(2), 32)).all()
    rows = list(csv.DictReader((tmp_path / "out/factors.csv").read_text().splitlines()))
    assert len(rows) == 9
    made_of = critters.factors("dog", "train", 1, 0)
    row = next(row for row in rows if row["file"] == "train/dog/00001.png")
    assert float(row["angle"]) == made_of.angle
    assert row["fur"] == str(made_of.fur)
    with pytest.raises(ValueError, match="already exists"):
        critters.export(data, 32, tmp_path / "out")
