from __future__ import annotations

import csv

import numpy as np
import pytest
import torch
from PIL import Image

from sg2bench.data.decode import read_image
from sg2bench.evaluation.outputs import to_float, to_uint8
from sg2bench.samples import gallery
from sg2bench.samples.pictures import Picture, read_pictures
from sg2bench.samples.styles import latent_styles, reference_styles

DOMAINS = ("bunny", "cat")


def test_write_makes_images_grids_styles_and_an_animation(nets, folder, tmp_path):
    sources, out = read_pictures(folder, 32), tmp_path / "out"
    styles = latent_styles(nets, DOMAINS, 2, 1.0)
    table = gallery.write(nets, sources, styles, out, frames=3)
    files = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    pairs = [("bunny", "a"), ("bunny", "b"), ("cat", "a")]
    assert files == {
        *(f"images/{group}2{target}/{stem}_{k:02d}.png" for group, stem in pairs for target in DOMAINS for k in (1, 2)),
        *("grids/bunny.png", "grids/cat.png", "styles.csv", "interpolation.webp"),
    }
    assert table.columns.tolist() == ["source", "domain", "number", "style", "file"]
    assert {tuple(row) for row in table.itertuples(index=False)} == {
        (f"{group}/{stem}", target, k, f"seed-{k - 1}", f"{out}/images/{group}2{target}/{stem}_{k:02d}.png")
        for group, stem in pairs
        for target in DOMAINS
        for k in (1, 2)
    }
    assert len(table) == 12
    with torch.inference_mode():
        output = nets.decode(nets.encode(to_float(sources[2].pixels[None])), styles[3].code[None])
    stored = np.asarray(read_image(out / "images/cat2cat/a_02.png"))
    assert np.abs(stored.astype(int) - to_uint8(output)[0].permute(1, 2, 0).numpy().astype(int)).max() <= 1
    with (out / "styles.csv").open() as file:
        assert list(csv.reader(file))[-1] == ["cat", "2", "seed-1"]
    with Image.open(out / "interpolation.webp") as animation:
        assert animation.n_frames == 4 * 3
        assert animation.size == (3 * 64, 2 * 64 + 4)
    with pytest.raises(ValueError, match="already exists"):
        gallery.write(nets, sources, styles, out, frames=0)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_nan_is_refused_and_not_written_as_black(nets, folder, tmp_path, value):
    nets.generator.to_rgb[-1].bias.data[:] = value
    styles = latent_styles(nets, DOMAINS, 2, 1.0)
    with pytest.raises(ValueError, match="the model's outputs hold NaN or infinity"):
        gallery.write(nets, read_pictures(folder, 32), styles, tmp_path / "out", frames=3)
    assert not list(tmp_path.glob("*out*"))


def test_many_sources_and_styles_fill_several_sheets_and_references_stand_to_the_left(nets, folder, tmp_path):
    (cat,) = read_pictures(folder / "cat", 32)
    sources = [Picture(".", f"{number:02d}", cat.pixels) for number in range(12)]
    references = [Picture("cat", f"{number:02d}", cat.pixels) for number in range(11)]
    references.append(Picture("bunny", "a", cat.pixels))
    styles = reference_styles(nets, DOMAINS, references, folder)
    table = gallery.write(nets, sources, styles, tmp_path / "out", frames=0)
    assert table["source"].unique().tolist() == [f"{number:02d}" for number in range(12)]
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
    pictures = [Picture(group, str(n), torch.zeros(3, 2, 2)) for group in "abc" for n in range(9)]
    assert [picture.group for picture in gallery._spread(pictures)] == list("aabbcc")
    assert len(gallery._spread(pictures[:2])) == 2
    assert gallery._page(0, 10) == ""
    assert gallery._page(0, 11) == "-1"
    assert gallery._page(10, 101) == "-02"
