from __future__ import annotations

import csv
import pickle
import threading

import numpy as np
import pytest
import torch
from PIL import Image

from sg2bench.config import Data
from sg2bench.data import critters, images


@pytest.fixture
def root(tmp_path):
    """Two domains, three images a split, in formats and letter cases that people have."""
    for split in images.SPLITS:
        for value, domain in enumerate(("apple", "pear")):
            folder = tmp_path / "set" / split / domain
            folder.mkdir(parents=True)
            for index, name in enumerate(("a.png", "b.JPG", "c.WebP")):
                Image.new("RGB", (40 + index, 30), (value * 100, 50 * index, 7 if split == "val" else 90)).save(
                    folder / name
                )
    return tmp_path / "set"


def load(root, **changes):
    return images.load(Data(source="folder", root=root, **changes), 32)


def test_folder(root):
    (root / "train" / ".hidden").mkdir()
    (root / "train" / "empty").mkdir()
    (root / "train" / "apple" / ".DS_Store.png").write_bytes(b"x")
    (root / "train" / "apple" / "notes.txt").write_text("x")
    found = load(root)
    assert found.domains == ("apple", "pear")
    assert found.names["train"]["apple"] == ("a.png", "b.JPG", "c.WebP")
    batch = found.batch("val", "pear", range(2), 32)
    assert batch.shape == (2, 3, 32, 32)
    assert batch[0, :, 5, 5].tolist() == [100, 0, 7]


def test_transparency_is_laid_on_white(root):
    Image.new("RGBA", (8, 8), (255, 0, 0, 0)).save(root / "train/apple/a.png")
    Image.new("LA", (8, 8), (0, 51)).save(root / "train/apple/d.png")
    found = load(root)
    assert np.asarray(found.image("train", "apple", 0))[0, 0].tolist() == [255, 255, 255]
    assert np.asarray(found.image("train", "apple", 3))[0, 0].tolist() == [204, 204, 204]


def test_sixteen_bits_are_scaled_and_phone_photos_stand_upright(root):
    ramp = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    Image.fromarray(ramp).save(root / "train/apple/a.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # turned a quarter
    Image.new("RGB", (40, 30)).save(root / "train/apple/b.JPG", exif=exif)
    found = load(root)
    pixels = np.asarray(found.image("train", "apple", 0))[..., 0]
    assert (pixels == ramp // 256).all()
    assert found.image("train", "apple", 1).size == (30, 40)


def test_grey_cmyk_and_palette_become_rgb_and_32_bits_are_refused(root):
    Image.new("L", (8, 8), 77).save(root / "train/apple/a.png")
    Image.new("CMYK", (8, 8), (255, 0, 0, 0)).save(root / "train/apple/b.JPG")
    Image.new("RGB", (8, 8), (9, 200, 30)).convert("P", palette=Image.Palette.ADAPTIVE).save(root / "train/apple/d.png")
    found = load(root)
    assert np.asarray(found.image("train", "apple", 0))[0, 0].tolist() == [77, 77, 77]
    assert np.asarray(found.image("train", "apple", 1))[0, 0].tolist() == pytest.approx([0, 255, 255], abs=2)
    assert np.asarray(found.image("train", "apple", 3))[0, 0].tolist() == [9, 200, 30]
    Image.new("F", (8, 8)).save(root / "train/apple/e.tiff")
    (root / "train/apple/e.tiff").rename(root / "train/apple/e.png")
    with pytest.raises(ValueError, match=r"e\.png: not a readable image \(32-bit pixels; save it with 8\)"):
        load(root)


def test_validation_images_that_are_training_images_are_counted_in_a_warning(root):
    for name in ("a.png", "b.JPG"):
        (root / "val/pear" / name).write_bytes((root / "train/apple" / name).read_bytes())
    for _ in range(2):  # also when the folder is known
        with pytest.warns(
            UserWarning, match=r"2 of the validation images are training images, too, as val/pear/a\.png = tr"
        ):
            load(root)


def test_real_images_with_or_without_validation_images(root, tmp_path):
    whole = images.load_real(root)
    assert whole.fingerprint == load(root).fingerprint
    alone = images.load_real(root / "train")
    assert (alone.domains, alone.count("train", "apple"), alone.count("val", "apple")) == (("apple", "pear"), 3, 0)
    assert (alone.batch("train", "pear", [1], 32) == whole.batch("train", "pear", [1], 32)).all()
    with pytest.raises(ValueError, match="holds no folders of images"):
        images.load_real(tmp_path / "set/train/apple")
    with pytest.raises(ValueError, match="nowhere/train: no such folder"):
        images.load_real(tmp_path / "nowhere")


def test_a_domain_left_out_may_be_incomplete(root):
    (root / "train/fig").mkdir()
    Image.new("RGB", (9, 9)).save(root / "train/fig/a.png")
    with pytest.raises(ValueError, match="only one of them has fig"):
        load(root)
    assert load(root, domains=["apple", "pear"]).domains == ("apple", "pear")


def test_fingerprint_changes_with_a_pixel_a_name_and_a_domain(root):
    prints = [load(root).fingerprint, load(root).fingerprint]
    assert prints[0] == prints[1]
    Image.new("RGB", (40, 30), (1, 2, 3)).save(root / "train/apple/a.png")
    prints.append(load(root).fingerprint)
    (root / "val/pear/a.png").rename(root / "val/pear/z.png")
    prints.append(load(root).fingerprint)
    (root / "train/fig").mkdir()
    (root / "val/fig").mkdir()
    for shade, split in enumerate(images.SPLITS):
        Image.new("L", (9, 9), shade).save(root / split / "fig/a.png")
    prints.append(load(root).fingerprint)
    assert len(set(prints[1:])) == 4
    assert load(root, domains=["pear", "apple"]).fingerprint == prints[3]


def test_a_broken_image_is_named_and_refused(root):
    whole = (root / "train/pear/b.JPG").read_bytes()
    (root / "train/pear/b.JPG").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"train/pear/b\.JPG: not a readable image .*mend or remove it"):
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
    for path in (root / "val/pear").iterdir():
        path.unlink()
    with pytest.raises(ValueError, match="only one of them has pear"):
        load(root)
    for path in (root / "train/pear").iterdir():
        path.unlink()
    with pytest.raises(ValueError, match="at least 2 domains, found apple"):
        load(root)


def test_critters_set_is_what_was_drawn():
    found = images.load(Data(train_per_domain=3, val_per_domain=2, seed=4), 32)
    assert found.domains == critters.DOMAINS
    assert (found.count("train", "cat"), found.count("val", "cat")) == (3, 2)
    expected = critters.draw("dog", critters.factors("dog", "val", 1, 4), 32)
    assert (np.asarray(found.image("val", "dog", 1)) == expected).all()
    fingerprints = {
        images.load(Data(train_per_domain=3, val_per_domain=2, seed=seed), size).fingerprint
        for seed, size in ((4, 32), (5, 32), (4, 64))
    }
    assert len(fingerprints) == 3


def test_a_set_can_be_sent_to_a_loader_process(root):
    for found in (load(root), images.load(Data(train_per_domain=1, val_per_domain=1), 32)):
        copy = pickle.loads(pickle.dumps(found))
        assert (np.asarray(copy.image("train", copy.domains[0], 0)) == found.image("train", copy.domains[0], 0)).all()


def test_exported_critters_load_as_a_folder_with_their_factors(tmp_path):
    data = Data(train_per_domain=2, val_per_domain=1)
    assert images.export_critters(data, 32, tmp_path / "out") == 9
    exported, drawn = load(tmp_path / "out"), images.load(data, 32)
    assert (exported.batch("train", "dog", range(2), 32) == drawn.batch("train", "dog", range(2), 32)).all()
    rows = list(csv.DictReader((tmp_path / "out/factors.csv").read_text().splitlines()))
    assert len(rows) == 9
    made_of = critters.factors("dog", "train", 1, 0)
    row = next(row for row in rows if row["file"] == "train/dog/00001.png")
    assert float(row["angle"]) == made_of.angle
    assert row["fur"] == str(made_of.fur)
    with pytest.raises(ValueError, match="exists already"):
        images.export_critters(data, 32, tmp_path / "out")


def test_the_next_part_is_loaded_while_one_is_worked_on():
    begun = [threading.Event() for _ in range(3)]

    def load(part):
        begun[part].set()
        return torch.tensor(part)

    for part, loaded in enumerate(images.loaded_ahead(load, range(3))):
        assert loaded == part
        assert part == 2 or begun[part + 1].wait(10)
    assert list(images.loaded_ahead(load, [])) == []


def test_what_is_broken_is_told_where_it_would_be_worked_on():
    def load(part):
        if part == 1:
            raise ValueError("broken")
        return torch.tensor(part)

    batches = images.loaded_ahead(load, range(3))
    assert next(batches) == 0
    with pytest.raises(ValueError, match="broken"):
        next(batches)
