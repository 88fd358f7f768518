from __future__ import annotations

import pickle

import numpy as np
import pytest
from PIL import Image

from sg2bench.config import Data
from sg2bench.data import folder as folder_sets
from sg2bench.data import images, sets


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
    return sets.load(Data(source="folder", root=root, **changes), 32)


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


def test_validation_images_that_are_training_images_are_counted_in_a_warning(root):
    for name in ("a.png", "b.JPG"):
        (root / "val/pear" / name).write_bytes((root / "train/apple" / name).read_bytes())
    for _ in range(2):  # also when the folder is known
        with pytest.warns(
            UserWarning, match=r"2 of the validation images are training images, too, as val/pear/a\.png = tr"
        ):
            load(root)


def test_real_images_with_or_without_validation_images(root, tmp_path):
    whole = folder_sets.load_real(root)
    assert whole.fingerprint == load(root).fingerprint
    alone = folder_sets.load_real(root / "train")
    assert (alone.domains, alone.count("train", "apple"), alone.count("val", "apple")) == (("apple", "pear"), 3, 0)
    assert (alone.batch("train", "pear", [1], 32) == whole.batch("train", "pear", [1], 32)).all()
    with pytest.raises(ValueError, match="holds no folders of images"):
        folder_sets.load_real(tmp_path / "set/train/apple")
    with pytest.raises(ValueError, match="nowhere/train: no such folder"):
        folder_sets.load_real(tmp_path / "nowhere")


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


def test_a_set_can_be_sent_to_a_loader_process(root):
    for found in (load(root), sets.load(Data(train_per_domain=1, val_per_domain=1), 32)):
        copy = pickle.loads(pickle.dumps(found))
        assert (np.asarray(copy.image("train", copy.domains[0], 0)) == found.image("train", copy.domains[0], 0)).all()
