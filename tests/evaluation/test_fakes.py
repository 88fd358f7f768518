from __future__ import annotations

import os

import numpy as np
import pytest
from PIL import Image

from sg2bench.catalog import METRICS
from sg2bench.config import Data, Evaluate, Experiment
from sg2bench.data import critters
from sg2bench.data import folder as folder_sets
from sg2bench.evaluation import fakes
from sg2bench.evaluation.evaluator import Evaluator


def draw(path, seed=0, side=32):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)).save(path)


@pytest.fixture
def real(tmp_path):
    critters.export(Data(train_per_domain=6, val_per_domain=3, domains=("cat", "dog")), 32, tmp_path / "real")
    return folder_sets.load_real(tmp_path / "real")


@pytest.fixture
def folder(tmp_path):
    for number, (pair, stem, k) in enumerate(
        (pair, stem, k) for pair in ("cat2dog", "dog2cat") for stem in ("00000", "00001") for k in (1, 2, 10)
    ):
        draw(tmp_path / f"fakes/{pair}/{stem}_{k}.png", number)
    return tmp_path / "fakes"


def test_outputs_by_source_in_the_order_of_their_numbers(real, folder):
    second, first = fakes.read(folder, real)
    assert (first.source, first.target, second.source) == ("cat", "dog", "dog")
    assert {stem: [path.name for path in files] for stem, files in first.files.items()} == {
        stem: [f"{stem}_{k}.png" for k in (1, 2, 10)] for stem in ("00000", "00001")
    }
    assert fakes.side_of([first, second]) == 32


def test_one_output_needs_no_number_where_sources_are_known_and_no_lpips(real, tmp_path):
    for stem in ("00000", "00001"):
        draw(tmp_path / f"fakes/cat2dog/{stem}.png")
    pairs = fakes.read(tmp_path / "fakes", real)
    assert list(pairs[0].files) == ["00000", "00001"]
    fitted = fakes.fit(Experiment(name="x"), pairs, "latent", real).evaluate
    assert (fitted.metrics[0], fitted.outputs_per_source) == ("fd_alexnet", 1)
    assert not any({"outputs", "references", "truth"} & METRICS[metric].needs for metric in fitted.metrics)


def test_domains_whose_names_hold_a_2(tmp_path):
    for domain in ("a", "a2b", "b"):
        draw(tmp_path / f"real/{domain}/x.png")
    found = folder_sets.load_real(tmp_path / "real")
    draw(tmp_path / "fakes/photo2a2b/x_1.png")
    with pytest.raises(ValueError, match="photo2a2b: name the folder <source>2<target>"):
        fakes.read(tmp_path / "fakes", found)  # photo → a2b, or photo2a → b
    (tmp_path / "fakes/photo2a2b").rename(tmp_path / "fakes/photo2a")
    assert [(pair.source, pair.target) for pair in fakes.read(tmp_path / "fakes", found)] == [("photo", "a")]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: draw(f / "cat2dog/00002_1.png"), r"same number of outputs, found 1 of cat2dog/00002, 3 of"),
        (lambda f: [draw(f / f"cat2dog/00009_{k}.png") for k in (1, 2, 3)], "val/cat has no image `00009`"),
        (lambda f: draw(f / "cat2dog/odd.png"), r"odd\.png: name fakes <stem of the source>_<k>"),
        (lambda f: draw(f / "cat2fox/00000_1.png"), "cat2fox: name the folder"),
        (lambda f: draw(f / "cat2dog/00000_01.png"), "another file is already output 1 of 00000"),
        (lambda f: (f / "cat2dog2").mkdir(), "cat2dog2: name the folder"),
        (lambda f: [draw(f / f"bat2dog/x_{k}.png", side=40) for k in (1, 2, 3)], "is 40 pixels wide, .* is 32"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(real, folder, change, message):
    change(folder)
    with pytest.raises(ValueError, match=message):
        fakes.side_of(fakes.read(folder, real))


def test_translations_within_a_domain_are_left_out(real, folder):
    draw(folder / "cat2cat/00000_1.png")
    with pytest.warns(UserWarning, match=r"left out 1 folder of translations within a domain \(cat2cat\)"):
        assert len(fakes.read(folder, real)) == 2


def test_what_is_left_out_is_counted_with_an_example(real, folder):
    (folder / "README.md").write_text("x")
    draw(folder / "loose.png")
    (folder / "cat2dog/.thumbnails").mkdir()
    (folder / "cat2dog/00000_3.gif").write_text("x")
    (folder / "dog2cat/00000_3.png").symlink_to(folder / "nowhere")
    draw(folder / "dog2cat/more/00002_1.png")
    os.mkfifo(folder / "dog2cat/00000_4.png")
    with pytest.warns(
        UserWarning,
        match=r"fakes: left out 2 files in another format \(e.g. README\.md\), "
        r"1 hidden folder \(cat2dog/\.thumbnails\), 1 broken link \(dog2cat/00000_3\.png\), "
        r"1 device or pipe \(dog2cat/00000_4\.png\), 1 file in folders inside a domain's \(dog2cat/more\), "
        r"1 image in no domain's folder \(loose\.png\); images are",
    ):
        assert [len(pair.files["00000"]) for pair in fakes.read(folder, real)] == [3, 3]


def test_a_folder_of_fakes_without_images_says_what_it_holds(real, folder):
    for path in (folder / "cat2dog").iterdir():
        path.rename(path.with_suffix(".gif"))
    with pytest.raises(
        ValueError, match=r"cat2dog: holds no images .*, but 6 files in another format \(e.g. 00000_1\.gif"
    ):
        fakes.read(folder, real)


@pytest.mark.parametrize("name", ["<b>", "a|b", "*", "a\nb", "=1", "\x1b[31m"])
def test_a_source_that_no_row_can_name_is_refused(real, folder, name):
    draw(folder / f"{name}2dog/00000_1.png")
    with pytest.raises(ValueError, match="name the folder <source>2<target>"):
        fakes.read(folder, real)


def test_sources_that_differ_in_their_endings_alone_are_refused(tmp_path):
    for split in ("train", "val"):
        for number, domain in enumerate(("cat", "dog")):
            draw(tmp_path / f"real/{split}/{domain}/a.png", number + len(split))
            draw(tmp_path / f"real/{split}/{domain}/a.webp", number + len(split) + 9)
    draw(tmp_path / "fakes/cat2dog/a_1.png")
    with pytest.raises(ValueError, match="val/cat: two images are called `a`, with different extensions; rename"):
        fakes.read(tmp_path / "fakes", folder_sets.load_real(tmp_path / "real"))


def test_sources_of_one_name_are_refused_wherever_they_are_in_name_order(tmp_path):
    names = ("train/cat/a.jpg", "train/dog/a.jpg", "val/cat/a.jpg", "val/cat/a-1.jpg", "val/cat/a.png", "val/dog/a.jpg")
    for seed, name in enumerate(names):
        draw(tmp_path / "real" / name, seed)
    draw(tmp_path / "fakes/cat2dog/a_1.png")
    with pytest.raises(ValueError, match="val/cat: two images are called `a`"):
        fakes.read(tmp_path / "fakes", folder_sets.load_real(tmp_path / "real"))


def test_outputs_are_in_the_order_of_the_sources_which_is_not_that_of_their_stems(tmp_path):
    names = ("a (1).png", "a-1.png", "a.png", "a_1.png")
    for number, (split, domain) in enumerate((s, d) for s in ("train", "val") for d in ("cat", "dog")):
        for place, name in enumerate(names):
            draw(tmp_path / f"real/{split}/{domain}/{name}", 10 * number + place)
    real = folder_sets.load_real(tmp_path / "real")
    for folder, pattern in (("plain", "{}.png"), ("numbered", "{}_1.png")):
        for name in names:
            draw(tmp_path / folder / "cat2dog" / pattern.format(name.removesuffix(".png")))
        (pair,) = fakes.read(tmp_path / folder, real)
        assert [f"{stem}.png" for stem in pair.files] == list(real.names["val"]["cat"])


def test_all_broken_fakes_are_named_at_once(real, folder):
    pairs = fakes.read(folder, real)
    broken = sorted((folder / "cat2dog").iterdir())[:3]
    for path in broken:
        path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(ValueError, match="fakes: 3 of 12 images are not readable: cat2dog/") as error:
        fakes.side_of(pairs)
    assert all(path.name in str(error.value) for path in broken)


def test_the_first_sources_are_meant(real, folder):
    for pair in ("cat2dog", "dog2cat"):
        for k in (1, 2, 10):
            (folder / f"{pair}/00000_{k}.png").rename(folder / f"{pair}/00002_{k}.png")
    with pytest.raises(ValueError, match="has outputs of 2 sources, but none of `00000`; give outputs of the first"):
        fakes.read(folder, real)


def test_names_that_only_look_numbered_are_not_taken_for_outputs(tmp_path):
    for domain in ("a", "b"):
        draw(tmp_path / f"real/{domain}/x.png")
    for number in (43, 51, 77):
        draw(tmp_path / f"fakes/a2b/flickr_cat_{number:06d}.png")
    with pytest.raises(ValueError, match="the outputs of `flickr_cat` are numbered 43, 51, 77 …, not 1, 2"):
        fakes.read(tmp_path / "fakes", folder_sets.load_real(tmp_path / "real"))


def test_pairs_from_a_domain_need_the_same_sources(tmp_path):
    for domain in ("a", "b", "c"):
        draw(tmp_path / f"real/{domain}/x.png")
    for name in ("a2b/x_1", "a2b/y_1", "a2c/x_1", "a2c/z_1"):
        draw(tmp_path / f"fakes/{name}.png")
    with pytest.raises(ValueError, match="a2b and a2c need the same sources, but only one of them has y"):
        fakes.read(tmp_path / "fakes", folder_sets.load_real(tmp_path / "real"))


def test_what_files_cannot_give_is_refused(real, folder):
    pairs = fakes.read(folder, real)
    with pytest.raises(ValueError, match="raw outputs, which files cannot hold"):
        fakes.fit(Experiment(name="x", evaluate={"protocol": "paper"}), pairs, "latent", real)
    with pytest.raises(ValueError, match="dog2cat has outputs of 2 sources, but evaluate.sources is 3"):
        fakes.fit(Experiment(name="x", evaluate={"sources": 3}), pairs, "latent", real)
    with pytest.raises(ValueError, match="3 outputs per source, but evaluate.outputs_per_source is 7"):
        fakes.fit(Experiment(name="x", evaluate={"outputs_per_source": 7}), pairs, "latent", real)


def test_lpips_alone_of_single_outputs_is_refused(real, tmp_path):
    for stem in ("00000", "00001"):
        draw(tmp_path / f"fakes/cat2dog/{stem}.png")
    with pytest.raises(ValueError, match="lpips needs two or more outputs per source; leave it out"):
        fakes.fit(
            Experiment(name="x", evaluate={"metrics": ["lpips"]}), fakes.read(tmp_path / "fakes", real), "latent", real
        )


def test_black_images_and_broken_ones_are_refused(real, folder):
    pairs = fakes.read(folder, real)
    evaluator = Evaluator(Evaluate(outputs_per_source=3, resize=64), real, 32)
    broken = folder / "dog2cat/00001_2.png"
    broken.write_bytes(broken.read_bytes()[:200])
    with pytest.raises(ValueError, match=r"dog2cat/00001_2\.png: not a readable image"):
        fakes.score(evaluator, pairs, "latent")
    draw(broken)
    for path in (folder / "cat2dog").iterdir():
        Image.new("RGB", (32, 32), (1, 0, 1)).save(path)
    with pytest.raises(ValueError, match="cat → dog: no 8-bit pixel exceeds 1"):
        fakes.score(evaluator, pairs, "latent")
    (folder / "cat2dog/00000_1.png").write_text("text")
    with pytest.raises(ValueError, match=r"00000_1\.png: not a readable image"):
        fakes.side_of(pairs)
    Image.new("RGB", (32, 30)).save(folder / "cat2dog/00000_1.png")
    with pytest.raises(ValueError, match="is 32 × 30 pixels; fakes must be square"):
        fakes.side_of(pairs)
