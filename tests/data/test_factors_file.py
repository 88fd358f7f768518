from __future__ import annotations

import csv
import pickle
import shutil

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from sg2bench.config import Data
from sg2bench.data import critters, folder, sets
from sg2bench.data.images import SPLITS

DATA = Data(train_per_domain=2, val_per_domain=3, seed=5)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    critters.export(DATA, 32, root := tmp_path_factory.mktemp("critters") / "set")
    return root


@pytest.fixture
def root(written, tmp_path):
    return shutil.copytree(written, tmp_path / "set")


def load(root):
    return pickle.loads(pickle.dumps(folder.load(root)))


def change(root, row, **cells):
    """Write a row's cells, and return the number of its line."""
    path = root / "factors.csv"
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    line, found = next((line, each) for line, each in enumerate(rows, 2) if each["file"] == row)
    found.update(cells)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return line


def test_a_folder_of_critters_has_their_factors_and_truth(root):
    found, drawn = load(root), sets.load(DATA, 32)
    for split in SPLITS:
        for domain in drawn.domains:
            for index in range(drawn.count(split, domain)):
                assert found.factors(split, domain, index) == drawn.factors(split, domain, index)
    for pair in (("cat", 2, "dog", 1), ("bunny", 0, "bunny", 2)):
        assert found.truth(*pair) == drawn.truth(*pair)


def test_real_images_to_compare_fakes_with_have_them_too(root):
    found, drawn = folder.load_real(root), sets.load(DATA, 32)
    assert found.truth("cat", 2, "dog", 1) == drawn.truth("cat", 2, "dog", 1)
    assert found.factors("val", "cat", 2) == drawn.factors("val", "cat", 2)


def test_the_file_is_not_part_of_the_fingerprint(root):
    fingerprint = load(root).fingerprint
    (root / "factors.csv").unlink()
    without = load(root)
    assert without.fingerprint == fingerprint
    assert without.truth is None
    assert without.factors is None


def test_some_of_the_domains_have_theirs(root):
    found, drawn = folder.load(root, ("cat", "dog")), sets.load(DATA, 32)
    assert found.truth("cat", 0, "dog", 1) == drawn.truth("cat", 0, "dog", 1)


def test_images_that_were_removed_shift_no_others(root):
    for split in SPLITS:
        (root / split / "cat/00000.png").unlink()
    found, drawn = load(root), sets.load(DATA, 32)
    assert found.factors("val", "cat", 0) == drawn.factors("val", "cat", 1)
    assert found.truth("cat", 0, "dog", 1) == drawn.truth("cat", 1, "dog", 1)


@pytest.mark.parametrize(("side", "resampling"), [(64, "NEAREST"), (48, "LANCZOS"), (16, "BOX"), (128, "BICUBIC")])
def test_truth_has_the_size_of_the_folder_s_images(root, side, resampling):
    for path in root.rglob("*.png"):
        with Image.open(path) as image:
            image.resize((side, side), Image.Resampling[resampling]).save(path)
    expected = critters.draw(
        "dog",
        critters.mixed(critters.factors("cat", "val", 1, 5), critters.factors("dog", "val", 2, 5)),
        side,
    )
    assert (np.asarray(load(root).truth("cat", 1, "dog", 2)) == expected).all()


def test_a_file_that_was_saved_again_by_another_program_is_read(root):
    path = root / "factors.csv"
    header, *rows = path.read_text().splitlines()
    path.write_text("\n".join(["\ufeff" + header, *reversed(rows)]) + "\n\n", encoding="utf-8")
    assert load(root).factors("val", "dog", 1) == critters.factors("dog", "val", 1, 5)


@pytest.mark.parametrize("content", ["", "name,age\ncat,3\n", "\0\1\2", "file;x;y\n", "x" * 5000])
def test_a_file_of_something_else_is_left_out_and_named(root, content):
    (root / "factors.csv").write_text(content)
    with pytest.warns(
        UserWarning, match=r"factors\.csv: ignored: a file of critters' factors has exactly the columns file, x"
    ):
        found = folder.load(root)
    assert found.truth is None
    assert found.factors is None


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        ({"x": "0,5"}, "x is '0,5', expected a number; use a decimal point"),
        ({"x": "nan"}, "x is 'nan', expected a number"),
        ({"y": ""}, "y is '', expected a number"),
        ({"y": "0.7"}, "y is not between 0.57 and 0.65, as for every critter"),
        ({"radius": "1e9"}, "radius is not between 0.27 and 0.34"),
        ({"angle": "-19"}, "angle is not between -18 and 18"),
        ({"stripes": "4"}, "stripes is not between 0 and 3"),
        ({"stripes": "1.5"}, "stripes is '1.5', expected a whole number"),
        ({"fur": "(1, 2)"}, r"fur is '\(1, 2\)', expected a colour as \(255, 255, 255\)"),
        ({"eyes": "(1, 2, 256)"}, "eyes has a value above 255"),
        ({"background": "white"}, "background is 'white', expected a colour"),
        ({"file": "val/dog/00002.png"}, "an earlier line names the same file"),
    ],
)
def test_wrong_cells_are_refused_with_their_line(root, cells, why):
    line = change(root, "val/dog/00001.png", **cells)
    if "file" in cells:
        line += 1  # the one that says it again
    with pytest.raises(ValueError, match=rf"factors\.csv: line {line}: {why}"):
        folder.load(root)


@pytest.mark.parametrize(
    ("write", "why"),
    [
        (lambda root: change(root, "train/cat/00001.png", file="cat.png"), "no line names train/cat/00001.png; draw"),
        (lambda root: (root / "val/cat/00001.png").rename(root / "val/cat/a.png"), "no line names val/cat/a.png; draw"),
        (
            lambda root: [(root / split / "cat").rename(root / split / "tabby") for split in SPLITS],
            r"`tabby` is not a domain of critters \(bunny, cat, dog\); draw the set again, or remove factors.csv",
        ),
        (
            lambda root: change(root, "val/cat/00000.png", background="(255, 0, 0)", x="0.5"),
            r"line 11: val/cat/00000\.png does not match a drawing of these factors",
        ),
        (
            lambda root: (
                (root / "val/cat/00002.png").replace(root / "val/cat/00000.png")
                and (root / "val/cat/00001.png").replace(root / "val/cat/00002.png")
            ),
            r"val/cat/0000\d\.png does not match a drawing of these factors",
        ),
        (
            lambda root: Image.new("RGB", (32, 48)).save(root / "val/dog/00000.png"),
            r"val/dog/00000\.png does not match a drawing of these factors",
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:.* use little of the range")
def test_factors_of_other_images_are_refused(root, write, why):
    write(root)
    with pytest.raises(ValueError, match=why):
        folder.load(root)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
@pytest.mark.filterwarnings("ignore:.*ignored. a file of critters")
def test_whatever_is_damaged_is_one_clear_line(root, written, data):
    path = root / "factors.csv"
    content = bytearray((written / "factors.csv").read_bytes())
    start = data.draw(st.integers(0, len(content)))
    content[start : start + data.draw(st.integers(0, 40))] = data.draw(st.binary(max_size=40))
    path.write_bytes(content)
    message = ""
    try:
        folder.load(root)
    except ValueError as error:
        message = str(error)
    assert not message or message.startswith(str(path))
    assert "\n" not in message
