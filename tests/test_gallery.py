from __future__ import annotations

import csv

import numpy as np
import pytest
import torch
from PIL import Image

from sg2bench.data.images import read_image
from sg2bench.evaluation import gallery
from sg2bench.evaluation.translate import to_float, to_uint8
from sg2bench.models.networks import Networks

DOMAINS = ("bunny", "cat")


@pytest.fixture
def nets(tiny):
    torch.manual_seed(0)
    return Networks(tiny.model, 2).eval()


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("bunny/a.png", "bunny/b.jpg", "cat/a.png", "cat/.hidden.png"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(path)
    (tmp_path / "in/notes.txt").write_text("no image")
    return tmp_path / "in"


def test_read_folder_takes_images_there_and_one_level_below(folder):
    found = gallery.read_folder(folder, 32)
    assert [(picture.group, picture.stem) for picture in found] == [("bunny", "a"), ("bunny", "b"), ("cat", "a")]
    assert found[0].pixels.shape == (3, 32, 32)
    assert [picture.group for picture in gallery.read_folder(folder / "cat", 32)] == ["."]
    Image.new("RGB", (9, 9)).save(folder / "bunny/a.webp")
    with pytest.raises(ValueError, match="same name but for its ending"):
        gallery.read_folder(folder, 32)
    with pytest.raises(ValueError, match="no such folder"):
        gallery.read_folder(folder / "none", 32)
    (folder / "empty").mkdir()
    with pytest.raises(ValueError, match="holds no images"):
        gallery.read_folder(folder / "empty", 32)


def test_hidden_folders_are_no_sources(folder):
    (folder / ".cache").mkdir()
    Image.new("RGB", (9, 9)).save(folder / ".cache/x.png")
    assert {picture.group for picture in gallery.read_folder(folder, 32)} == {"bunny", "cat"}


def test_domains_are_named_as_given_or_by_number():
    assert gallery.name_domains(2, "cat, dog") == ("cat", "dog")
    assert gallery.name_domains(3, None) == ("domain-0", "domain-1", "domain-2")
    with pytest.raises(ValueError, match="name each of the model's 2 domains once"):
        gallery.name_domains(2, "cat,cat")
    for odd in ("../up", "a/b", ".cat", "", "a\\b"):
        with pytest.raises(ValueError, match="cannot name a folder"):
            gallery.name_domains(2, f"cat,{odd}")


def test_psi_draws_latent_styles_toward_the_domain_s_mean(nets):
    as_drawn, half, mean = (gallery.latent_styles(nets, DOMAINS, 3, psi) for psi in (1.0, 0.5, 0.0))
    assert [(style.domain, style.name) for style in as_drawn] == [(d, f"seed-{i}") for d in DOMAINS for i in range(3)]
    many = torch.from_numpy(np.random.default_rng(0).standard_normal((10_000, 3), dtype=np.float32))
    with torch.inference_mode():
        middle = nets.mapping_network(many, torch.zeros(10_000, dtype=torch.int64)).mean(0)
    torch.testing.assert_close(mean[2].code, middle)
    torch.testing.assert_close(half[0].code, (as_drawn[0].code + middle) / 2)
    assert (mean[0].code != mean[3].code).any()


def test_references_are_of_the_domain_of_their_folder(nets, folder):
    pictures = gallery.read_folder(folder, 32)
    styles = gallery.reference_styles(nets, DOMAINS, pictures, folder)
    with torch.inference_mode():
        expected = nets.style_encoder(to_float(pictures[2].pixels[None]), torch.tensor([1]))[0]
    torch.testing.assert_close(styles[2].code, expected)
    with pytest.raises(ValueError, match=r"named by domain \(cat, dog\), found `bunny`"):
        gallery.reference_styles(nets, ("cat", "dog"), pictures, folder)


def test_write_makes_images_grids_styles_and_an_animation(nets, folder, tmp_path):
    sources, out = gallery.read_folder(folder, 32), tmp_path / "out"
    styles = gallery.latent_styles(nets, DOMAINS, 2, 1.0)
    assert gallery.write(nets, sources, styles, out, frames=3) == 12
    files = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    pairs = [("bunny", "a"), ("bunny", "b"), ("cat", "a")]
    assert files == {
        *(f"images/{group}2{target}/{stem}_{k:02d}.png" for group, stem in pairs for target in DOMAINS for k in (1, 2)),
        *("grids/bunny.png", "grids/cat.png", "styles.csv", "interpolation.webp"),
    }
    with torch.inference_mode():
        output = nets.decode(nets.encode(to_float(sources[2].pixels[None])), styles[3].code[None])
    stored = np.asarray(read_image(out / "images/cat2cat/a_02.png"))
    assert np.abs(stored.astype(int) - to_uint8(output)[0].permute(1, 2, 0).numpy().astype(int)).max() <= 1
    with (out / "styles.csv").open() as file:
        assert list(csv.reader(file))[-1] == ["cat", "2", "seed-1"]
    with Image.open(out / "interpolation.webp") as animation:
        assert animation.n_frames == 4 * 3
        assert animation.size == (3 * 64, 2 * 64 + 4)
    with pytest.raises(ValueError, match="exists already"):
        gallery.write(nets, sources, styles, out, frames=0)


def test_many_sources_and_styles_fill_several_sheets_and_references_stand_to_the_left(nets, folder, tmp_path):
    (cat,) = gallery.read_folder(folder / "cat", 32)
    sources = [gallery.Picture(".", f"{number:02d}", cat.pixels) for number in range(12)]
    references = [gallery.Picture("cat", f"{number:02d}", cat.pixels) for number in range(11)]
    references.append(gallery.Picture("bunny", "a", cat.pixels))
    styles = gallery.reference_styles(nets, DOMAINS, references, folder)
    gallery.write(nets, sources, styles, tmp_path / "out", frames=0)
    sizes = {path.name: read_image(path).size for path in (tmp_path / "out/grids").iterdir()}
    ten, two = 11 * 64, 3 * 64
    assert sizes == {
        "bunny-1.png": (ten, 2 * 64 + 4),
        "bunny-2.png": (two, 2 * 64 + 4),
        "cat-1-1.png": (ten, ten + 4),
        "cat-1-2.png": (ten, 2 * 64 + 4),
        "cat-2-1.png": (two, ten + 4),
        "cat-2-2.png": (two, 2 * 64 + 4),
    }
    assert (tmp_path / "out/images/cat/11_11.png").is_file()
    assert not (tmp_path / "out/interpolation.webp").exists()


def test_the_animation_s_sources_come_from_all_folders():
    pictures = [gallery.Picture(group, str(n), torch.zeros(3, 2, 2)) for group in "abc" for n in range(9)]
    assert [picture.group for picture in gallery._spread(pictures)] == list("aabbcc")
    assert len(gallery._spread(pictures[:2])) == 2
    assert gallery._page(0, 10) == ""
    assert gallery._page(0, 11) == "-1"
    assert gallery._page(10, 101) == "-02"


def test_a_model_without_style_takes_no_references(tiny, folder):
    model = tiny.model.model_copy(update={"condition": "label"})
    with pytest.raises(ValueError, match="takes no references"):
        gallery.reference_styles(Networks(model, 2), DOMAINS, gallery.read_folder(folder, 32), folder)
