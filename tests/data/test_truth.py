from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sg2bench.config import Data
from sg2bench.data import sets
from sg2bench.data.truth import content_and_style

pytestmark = pytest.mark.filterwarnings("ignore:.* use little of the range")

NAMES = {
    "val/apple": ("one__red.png", "two__green.png", "loose.png"),
    "train/apple": ("two__red.jpg", "one__green.png"),
    "val/pear": ("one__blue.png", "my__two__blue.png"),
    "train/pear": ("one__blue.webp", "two__blue.png"),
}


@pytest.fixture
def root(tmp_path):
    """Each image of one grey level, which is its place in NAMES."""
    level = 0
    for folder, names in NAMES.items():
        (tmp_path / folder).mkdir(parents=True)
        for name in names:
            Image.new("RGB", (32, 32), (level,) * 3).save(tmp_path / folder / name)
            level += 20
    return tmp_path


def level(image):
    return None if image is None else round(np.asarray(image).mean() / 20)


@pytest.mark.parametrize(
    ("source", "reference", "right"),
    [
        (("apple", "one__red.png"), ("pear", "my__two__blue.png"), 5),  # in val and train: that of val
        (("apple", "two__green.png"), ("pear", "one__blue.png"), 8),  # in train alone
        (("pear", "one__blue.png"), ("apple", "one__red.png"), 0),
        (("pear", "one__blue.png"), ("apple", "two__green.png"), 4),
        (("pear", "my__two__blue.png"), ("apple", "one__red.png"), None),  # the content is `my__two`
        (("apple", "loose.png"), ("pear", "one__blue.png"), None),
        (("pear", "one__blue.png"), ("apple", "loose.png"), None),
        (("apple", "two__green.png"), ("apple", "one__red.png"), 3),
    ],
)
def test_the_right_image_of_a_folder_has_the_content_of_the_source_and_the_style_of_the_reference(
    root, source, reference, right
):
    found = pickle.loads(pickle.dumps(sets.load(Data(source="folder", root=root), 32)))
    given = [(domain, found.names["val"][domain].index(name)) for domain, name in (source, reference)]
    assert level(found.truth(*given[0], *given[1])) == right


def test_a_folder_without_such_names_has_no_truth(root):
    for path in sorted((root / "val").rglob("*__*")):
        path.rename(path.with_name(path.name.replace("__", "-")))
    assert sets.load(Data(source="folder", root=root), 32).truth is None


def test_names_of_one_content_alone_say_nothing(root):
    for place in ("val/apple", "val/pear"):
        for number, path in enumerate(sorted((root / place).iterdir())):
            path.rename(path.with_name(f"photo__{number:05d}.png"))
    with pytest.warns(UserWarning, match="val/apple: all images have the content `photo` by their names"):
        assert sets.load(Data(source="folder", root=root), 32).truth is None


def test_two_right_images_of_one_name_are_refused(root):
    (root / "val/pear/one__blue.webp").write_bytes((root / "val/apple/one__red.png").read_bytes())
    with pytest.raises(ValueError, match="val/pear: one__blue.png and one__blue.webp differ only in their extensions"):
        sets.load(Data(source="folder", root=root), 32)


TEXT = st.text("ab-. _", min_size=1)


@given(TEXT, st.text("ab-. ", min_size=1), st.sampled_from([".png", ".JPG", ".webp"]))
def test_a_name_is_split_at_the_last_pair_of_underscores(content, style, extension):
    assert content_and_style(f"{content}__{style}{extension}") == (content, style)


@pytest.mark.parametrize("name", ["a.png", "a_b.png", "__b.png", "a__.png", "__.png"])
def test_other_names_have_no_parts(name):
    assert content_and_style(name) is None
