from __future__ import annotations

import os
import pickle
import re
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from sg2bench import texts
from sg2bench.config import Data
from sg2bench.data import folder as folder_sets
from sg2bench.data import images, sets
from sg2bench.rows.columns import FORMS


def draw(path, red=0, green=0, blue=0):
    """An image of one colour, but for a corner that spans the whole range."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", (40, 30), (red, green, blue))
    image.putpixel((39, 29), (0, 0, 0))
    image.putpixel((38, 29), (255, 255, 255))
    image.save(path)


@pytest.fixture
def root(tmp_path):
    """Two domains, three images a split, in formats and letter cases that people have."""
    for split in images.SPLITS:
        for value, domain in enumerate(("apple", "pear")):
            for index, name in enumerate(("a.png", "b.JPG", "c.WebP")):
                draw(tmp_path / "set" / split / domain / name, value * 100, 50 * index, 7 if split == "val" else 90)
    return tmp_path / "set"


def load(root, **changes):
    return sets.load(Data(source="folder", root=root, **changes), 32)


def warned(root):
    """What loading warns of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        load(root)
    return [str(warning.message).removeprefix(f"{root}: ") for warning in caught]


def test_folder(root):
    (root / "train" / "apple" / ".DS_Store").write_bytes(b"x")
    found = load(root)
    assert found.domains == ("apple", "pear")
    assert found.names["train"]["apple"] == ("a.png", "b.JPG", "c.WebP")
    batch = found.batch("val", "pear", range(2), 32)
    assert batch.shape == (2, 3, 32, 32)
    assert batch[0, :, 5, 5].tolist() == [100, 0, 7]
    assert found.counts() == ["train: apple 3, pear 3", "val: apple 3, pear 3"]


def test_the_fingerprint_of_a_set_never_changes(root):
    """Rows carry it: a change makes them other rows."""
    for split in images.SPLITS:
        for domain in ("apple", "pear"):
            for name in ("a.png", "b.JPG", "c.WebP"):
                (root / split / domain / name).write_bytes(_bmp(split, domain, name))
    assert load(root).fingerprint == "1bfcb0274b9c9de2"


def _bmp(split, domain, name):
    """A sound file whose bytes no library decides."""
    pixels = bytes((sum(map(ord, split + domain + name)) + 11 * place) % 256 for place in range(192))
    header = b"BM" + (54 + 192).to_bytes(4, "little") + bytes(4) + (54).to_bytes(4, "little")
    info = b"".join(n.to_bytes(4, "little") for n in (40, 8, 8)) + b"\1\0\x18\0" + bytes(24)
    return header + info + pixels


@pytest.mark.parametrize("ending", ["bmp", "tif", "TIFF", "jpeg", "png", "webp"])
def test_a_domain_of_any_format_that_is_read_is_found(root, ending):
    for split in images.SPLITS:
        draw(root / split / "fig" / f"x.{ending}", 1, 2, len(split))
    assert load(root).domains == ("apple", "fig", "pear")


def test_what_is_left_out_is_counted_with_an_example(root):
    apple = root / "train/apple"
    for name in ("notes.txt", "a.gif", "photo", "a.png.part"):
        (apple / name).write_text("x")
    for name in ("gone.png", "lost.txt"):
        (apple / name).symlink_to(root / "nowhere")
    (apple / "circle.png").symlink_to(apple / "circle.png")
    for number in range(20):
        draw(apple / f"more/deeper/{number}.png")
    (apple / "again").symlink_to(root / "train")
    os.mkfifo(apple / "pipe.png")
    draw(apple / ".hidden.png")
    draw(apple / ".thumbnails/a.png")
    draw(root / "train/loose.png")
    draw(root / "loose.jpg")
    (root / "train/fig").mkdir()
    draw(root / "test/apple/a.png")
    assert warned(root) == [
        "left out 2 images in no domain's folder (e.g. loose.jpg), 1 folder other than train and val (test), "
        "1 hidden image (train/apple/.hidden.png), 1 hidden folder (train/apple/.thumbnails), "
        "4 files in another format (e.g. train/apple/a.gif), "
        "21 files in folders inside a domain's (e.g. train/apple/again), "
        "3 broken links (e.g. train/apple/circle.png), 1 device or pipe (train/apple/pipe.png), "
        "1 empty folder (train/fig); images are .png, .jpg, .jpeg, .webp, .bmp, .tif, .tiff"
    ]


@pytest.mark.parametrize(
    ("lay", "message"),
    [
        (lambda fig: (fig / "a.gif").write_text("x"), r"1 file in another format \(a\.gif\)"),
        (lambda fig: (fig / "a").write_text("x"), r"1 file in another format \(a\)"),
        (lambda fig: [draw(fig / f"sub/{n}.png") for n in "ab"], r"2 files in folders inside a domain's \(e.g. sub\)"),
        (lambda fig: (fig / "a.png").symlink_to(fig / "nowhere.png"), r"1 broken link \(a\.png\)"),
        (lambda fig: draw(fig / ".a.png"), r"1 hidden image \(\.a\.png\)"),
    ],
)
def test_a_domain_with_files_and_no_image_is_refused_unless_it_is_not_wanted(root, lay, message):
    (root / "train/fig").mkdir()
    lay(root / "train/fig")
    with pytest.raises(ValueError, match=rf"train/fig: holds no image \(\.png, .*\), but {message}; put images"):
        load(root)
    assert load(root, domains=["apple", "pear"]).domains == ("apple", "pear")


BAD_NAMES = (
    "*",
    "<b>",
    "a|b",
    "[x]",
    "a`b",
    "a\nb",
    "a\tb",
    "\x1b[31m",
    "=1",
    "+1",
    "-1",
    "@x",
    "a ",
    "\u202eb",
    "\udcff",
)


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_name_that_no_row_can_have_is_refused_at_the_start_everywhere(root, name):
    for split in images.SPLITS:
        draw(root / split / name / "a.png")
    for read in (lambda: load(root), lambda: folder_sets.load_real(root), lambda: folder_sets.load_real(root / "val")):
        with pytest.raises(ValueError, match="invalid domain name .*; a name is one line of visible text"):
            read()
    with pytest.raises(ValueError, match="invalid domain name"):
        Data(domains=(name, "apple"))
    assert load(root, domains=["apple", "pear"]).domains == ("apple", "pear")


@pytest.mark.parametrize("name", ["", ".cat", "a/b", "../../up"])
def test_a_name_that_no_visible_folder_can_have_is_refused(name):
    with pytest.raises(ValueError, match="invalid domain name"):
        Data(domains=(name, "apple"))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1, max_size=20))
def test_a_domain_is_taken_just_if_rows_can_name_it(tmp_path, name):
    """One rule: that of the result table."""
    assert (name != "*" and re.fullmatch(FORMS["source"][0], name) is not None) == texts.is_domain(name)
    if name in (".", "..") or len(name.encode()) > 200 or texts.is_domain(name):
        return
    with pytest.raises(ValueError, match="invalid domain name"):
        Data(domains=(name, "apple"))


@pytest.mark.parametrize("domain", ["train", "val", "0", "yes", "no", "null", "猫", "big cat", "it's", "a2b", "*x"])
def test_odd_names_that_are_sound_just_work(tmp_path, domain):
    for split in images.SPLITS:
        draw(tmp_path / split / domain / "a.png", len(split))
        draw(tmp_path / split / "other" / "a.png", 99, len(split))
    found = load(tmp_path, domains=[domain, "other"])
    assert set(found.domains) == {domain, "other"}
    assert set(folder_sets.load_real(tmp_path / "val").domains) == {domain, "other"}


def test_files_whose_names_are_not_utf_8_are_images_like_others(root):
    name = os.fsdecode("é.png".encode("latin-1"))
    draw(root / "train/apple" / name, 1)
    draw(root / "train/apple/two\nlines.png", 2)
    first, again = load(root), load(root)
    assert name in first.names["train"]["apple"]
    assert first.fingerprint == again.fingerprint
    (root / "train/apple" / name).write_bytes(b"broken")
    (root / "train/apple/two\nlines.png").write_bytes(b"broken")
    with pytest.raises(ValueError, match="2 of 14 images are not readable") as caught:
        load(root)
    assert str(caught.value).isprintable()


def test_validation_images_that_are_training_images_are_counted_in_a_warning(root):
    for name in ("a.png", "b.JPG"):
        (root / "val/pear" / name).write_bytes((root / "train/apple" / name).read_bytes())
    for _ in range(2):  # also when the folder is known
        with pytest.warns(
            UserWarning, match=r"2 of the validation images are also training images \(e.g. val/pear/a\.png = tr"
        ):
            load(root)


@pytest.mark.parametrize(("bits", "span"), [(8, 1), (10, 3), (12, 15), (14, 63)])
def test_values_in_a_sliver_of_the_range_are_warned_of(root, bits, span):
    """Scanners and cameras write 12 bits into files of 16."""
    ramp = np.linspace(0, 2**bits - 1 if bits > 8 else 511, 256).astype(np.uint16).reshape(16, 16)
    for split in images.SPLITS:
        for number in range(3):
            Image.fromarray(np.roll(ramp, number + len(split))).save(root / split / "pear" / f"1{number}.png")
    for _ in range(2):  # also when the folder is known
        (message,) = [each for each in warned(root) if "range" in each]
        assert message.startswith(
            "6 of the 12 images of pear use little of the range from 0 to 255 (e.g. train/pear/10.png)"
        )
        assert f"at most {span} levels, and the largest value is {span}." in message


def test_blank_images_are_warned_of_and_one_dark_image_of_many_is_not(root):
    for number in range(7):
        draw(root / f"train/pear/{number}.png", number, 200, 3)
    Image.new("RGB", (9, 9), (200, 10, 10)).save(root / "train/pear/8.png")
    assert warned(root) == []
    Image.new("L", (9, 9), 130).save(root / "train/pear/9.png")
    (message,) = warned(root)
    assert message.startswith("2 of the 15 images of pear use little of the range")
    assert "at most 0 levels, and the largest value is 200." in message


def test_real_images_with_or_without_validation_images(root, tmp_path):
    whole = folder_sets.load_real(root)
    assert whole.fingerprint == load(root).fingerprint
    alone = folder_sets.load_real(root / "train")
    assert (alone.domains, alone.count("train", "apple"), alone.count("val", "apple")) == (("apple", "pear"), 3, 0)
    assert (alone.batch("train", "pear", [1], 32) == whole.batch("train", "pear", [1], 32)).all()
    with pytest.warns(UserWarning, match="left out 3 images"), pytest.raises(ValueError, match="holds no folders of"):
        folder_sets.load_real(tmp_path / "set/train/apple")
    with pytest.raises(ValueError, match="nowhere/train: no such folder"):
        folder_sets.load_real(tmp_path / "nowhere")


def test_a_domain_called_train_or_val_is_one(tmp_path):
    for number, domain in enumerate(("train", "val", "plane")):
        draw(tmp_path / domain / "a.png", number)
    found = folder_sets.load_real(tmp_path)
    assert (found.domains, found.count("val", "train")) == (("plane", "train", "val"), 0)
    (tmp_path / "train/a.png").unlink()
    with pytest.warns(UserWarning, match="left out"), pytest.raises(ValueError, match="at least 2 domains, found none"):
        folder_sets.load_real(tmp_path)


def test_a_domain_left_out_may_be_incomplete(root):
    draw(root / "train/fig/a.png")
    with pytest.raises(ValueError, match="only one of them has fig"):
        load(root)
    assert load(root, domains=["apple", "pear"]).domains == ("apple", "pear")


def test_fingerprint_changes_with_a_pixel_a_name_and_a_domain(root):
    prints = [load(root).fingerprint, load(root).fingerprint]
    assert prints[0] == prints[1]
    draw(root / "train/apple/a.png", 1, 2, 3)
    prints.append(load(root).fingerprint)
    (root / "val/pear/a.png").rename(root / "val/pear/z.png")
    prints.append(load(root).fingerprint)
    for shade, split in enumerate(images.SPLITS):
        draw(root / split / "fig/a.png", shade)
    prints.append(load(root).fingerprint)
    assert len(set(prints[1:])) == 4
    assert load(root, domains=["pear", "apple"]).fingerprint == prints[3]


def test_a_broken_image_is_named_and_refused(root):
    whole = (root / "train/pear/b.JPG").read_bytes()
    (root / "train/pear/b.JPG").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"train/pear/b\.JPG: not a readable image .*repair or remove it"):
        load(root)
    (root / "train/pear/b.JPG").write_text("no image")
    with pytest.raises(ValueError, match=r"train/pear/b\.JPG: not a readable image"):
        load(root)


def test_wrong_folders_are_refused(root, tmp_path):
    with pytest.raises(ValueError, match="nowhere/train: no such folder"):
        load(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="has no fig"):
        load(root, domains=["apple", "fig"])
    with pytest.raises(ValueError, match="at least 2 domains"):
        load(root, domains=["apple"])
    for split, message in (("val", "only one of them has pear"), ("train", "at least 2 domains, found apple")):
        for path in (root / split / "pear").iterdir():
            path.unlink()
        with pytest.warns(UserWarning, match="empty folder"), pytest.raises(ValueError, match=message):
            load(root)


def test_a_set_can_be_sent_to_a_loader_process(root):
    for found in (load(root), sets.load(Data(train_per_domain=1, val_per_domain=1), 32)):
        copy = pickle.loads(pickle.dumps(found))
        assert (np.asarray(copy.image("train", copy.domains[0], 0)) == found.image("train", copy.domains[0], 0)).all()
