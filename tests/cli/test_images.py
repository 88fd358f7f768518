"""What commands say about folders of images before they begin."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sg2bench.models import checkpoints
from sg2bench.models.networks import Networks
from tests.cli.test_cli import assert_refused

EXPERIMENT = """
data: {source: folder, root: images}
model: {image_size: 32, first_width: 4, max_width: 8, style_dim: 5, latent_dim: 3, mapping_width: 8}
evaluate: {resize: 64, outputs_per_source: 2, modes: [latent]}
train: {steps: 1, batch_size: 2}
"""


@pytest.fixture
def command(quick_cli):
    """Runs `sg2bench` with warnings as in use, each printed once; pytest makes them errors."""

    def run(*arguments):
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            return quick_cli(*arguments)

    return run


@pytest.fixture
def folder(tmp_path):
    """A set with files, folders and values that need a word, and an experiment on it."""
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        for domain, number in (("cat", 5), ("dog", 4)):
            (tmp_path / "images" / split / domain / "more").mkdir(parents=True)
            for index in range(number):
                pixels = rng.integers(0, 256 if domain == "cat" else 4096, (32, 32), np.uint16)
                image = Image.fromarray(pixels.astype(np.uint8) if domain == "cat" else pixels)
                image.save(tmp_path / "images" / split / domain / f"{index}.png")
                image.save(tmp_path / "images" / split / domain / "more" / f"{index}.png")
    (tmp_path / "images/train/cat/a.gif").write_text("x")
    (tmp_path / "mine.yaml").write_text(EXPERIMENT)
    return tmp_path / "images"


LEFT_OUT = (
    "warning: images: left out 1 file in another format (train/cat/a.gif), 18 files in folders "
    "inside a domain's (e.g. train/cat/more); images are .png, .jpg, .jpeg, .webp, .bmp, .tif, .tiff"
)
DARK = (
    "warning: images: 8 of the 8 images of dog use little of the range from 0 to 255 (e.g. train/dog/0.png): they span "
    "at most 15 levels, and the largest value is 15. If they hold fewer bits than their files (12 in 16), scale them "
    "to the whole range"
)
COUNTS = ["train: cat 5, dog 4", "val: cat 5, dog 4"]


def test_fingerprint_says_what_it_found_and_what_not(command, folder):
    for _ in range(2):  # also when the folder is known
        process = command("data", "fingerprint", "mine.yaml")
        assert process.returncode == 0
        assert len(process.stdout.strip()) == 16
        assert process.stdout == process.stdout.lstrip()
        assert process.stderr.splitlines() == [LEFT_OUT, DARK, *COUNTS]


def test_score_says_it_first(command, folder, tmp_path):
    for index in range(5):
        for k in (1, 2):
            (tmp_path / "fakes/cat2dog").mkdir(parents=True, exist_ok=True)
            Image.effect_noise((32, 32), 90 + index + k).save(tmp_path / f"fakes/cat2dog/{index}_{k}.png")
    (tmp_path / "fakes/notes.txt").write_text("x")
    options = ("--set", "evaluate.resize=64", "--set", "evaluate.metrics=[lpips]", "--set", "model.image_size=32")
    process = command("score", "--real", "images", "--fake", "fakes", *options)
    assert process.returncode == 0, process.stderr
    left_out = "warning: fakes: left out 1 file in another format (notes.txt); images are"
    assert process.stderr.splitlines()[:4] == [LEFT_OUT, DARK, *COUNTS]
    assert process.stderr.splitlines()[4].startswith(left_out)


def test_ablate_and_run_say_it_before_they_train(command, folder, monkeypatch):
    def train(*_, **__):
        raise ValueError("training begins")

    monkeypatch.setattr("sg2bench.runs.perform.train", train)
    monkeypatch.setattr("sg2bench.runs.perform.reference_lines", train)
    for words in (("ablate", "mine.yaml"), ("run", "mine.yaml", "--variant", "full", "--seed", 0)):
        process = command(*words)
        assert process.returncode == 2
        assert process.stderr.splitlines() == [LEFT_OUT, DARK, *COUNTS, "sg2bench: training begins"]


@pytest.fixture
def translate(command, tmp_path, tiny):
    """Runs `sg2bench translate` with a model of two domains."""
    torch.manual_seed(0)
    checkpoint = checkpoints.save_ema(Networks(tiny.model, 2), tmp_path, 1)

    def run(*arguments):
        return command("translate", checkpoint, "--latent-seeds", 1, "--frames", 0, *arguments)

    return run


def test_translate_says_it_first_and_reads_names_that_are_not_utf_8(translate, folder, tmp_path):
    name = os.fsdecode("é.png".encode("latin-1"))
    Image.effect_noise((32, 32), 90).save(tmp_path / "images/val/cat" / name)
    process = translate("--sources", "images")
    assert process.returncode == 0, process.stderr
    assert process.stderr.startswith("warning: images: left out 1 file in another format (train/cat/a.gif); images are")
    assert len([*(tmp_path / "translated/images").rglob("*.png")]) == 2 * (2 * 18 + 1)


def test_home_is_meant_by_a_tilde_in_every_path(translate, command, folder, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    folder.rename(tmp_path / "home-images")
    for path in (tmp_path / "home-images").rglob("more"):
        path.rename(tmp_path / f"moved-{path.parent.parent.name}-{path.parent.name}")
    process = command("data", "fingerprint", "~/mine.yaml", "--set", "data.root=~/home-images")
    assert process.returncode == 0, process.stderr
    process = command("score", "--real=~/home-images", "--fake=~/nowhere")
    assert_refused(process, f"--fake {tmp_path}/nowhere: no such folder")
    process = translate("--sources=~/home-images/val/cat", "--out=~/here")
    assert process.returncode == 0, process.stderr
    assert (tmp_path / "here/styles.csv").is_file()
    process = command("data", "draw", "--out=~/drawn", "--set", "data={train_per_domain: 1, val_per_domain: 1}")
    assert process.returncode == 0, process.stderr
    assert (tmp_path / "drawn/train").is_dir()
    for refused in (("--real=~nobody-here/x", "--fake", "y"), ("--real", "~nobody-here/x", "--fake", "y")):
        assert_refused(command("score", *refused), "~nobody-here/x/train: no such folder")
    assert not Path("~").exists()


@pytest.mark.parametrize("name", ["*", "<b>", "a|b", "a\nb", "[red]", "\x1b[31m"])
def test_a_domain_that_no_row_can_name_is_refused_at_once(command, folder, name):
    for split in ("train", "val"):
        (folder / split / "dog").rename(folder / split / name)
    for words in (("ablate", "mine.yaml"), ("score", "--real", "images", "--fake", "x")):
        process = command(*words)
        assert_refused(process, "invalid domain name")
        assert process.stderr.count("\n") == 1


def test_all_broken_images_are_named_in_one_line(command, folder):
    for index in range(4):
        (folder / f"val/dog/{index}.png").write_bytes(b"")
    process = command("ablate", "mine.yaml")
    assert_refused(process, "4 of 18 images are not readable: val/dog/0.png (it is empty), val/dog/1.png")
    assert process.stderr.splitlines()[0] == LEFT_OUT
