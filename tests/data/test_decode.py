from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from sg2bench.data.decode import read_image


def stored(image, path, **options):
    """The pixels of an image that was saved and read again."""
    image.save(path, **options)
    return np.asarray(read_image(path))


def test_transparency_is_laid_on_white(tmp_path):
    assert stored(Image.new("RGBA", (8, 8), (255, 0, 0, 0)), tmp_path / "a.png")[0, 0].tolist() == [255, 255, 255]
    assert stored(Image.new("LA", (8, 8), (0, 51)), tmp_path / "b.png")[0, 0].tolist() == [204, 204, 204]


def test_sixteen_bits_are_scaled(tmp_path):
    ramp = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    pixels = stored(Image.fromarray(ramp), tmp_path / "a.png")
    assert (pixels == (ramp // 256)[..., None]).all()


def test_phone_photos_stand_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned a quarter
    assert stored(Image.new("RGB", (40, 30)), tmp_path / "a.jpg", exif=exif).shape == (40, 30, 3)


def test_grey_cmyk_and_palette_become_rgb(tmp_path):
    assert stored(Image.new("L", (8, 8), 77), tmp_path / "a.png")[0, 0].tolist() == [77, 77, 77]
    cmyk = stored(Image.new("CMYK", (8, 8), (255, 0, 0, 0)), tmp_path / "b.jpg")
    assert cmyk[0, 0].tolist() == pytest.approx([0, 255, 255], abs=2)
    palette = Image.new("RGB", (8, 8), (9, 200, 30)).convert("P", palette=Image.Palette.ADAPTIVE)
    assert stored(palette, tmp_path / "d.png")[0, 0].tolist() == [9, 200, 30]


def test_32_bits_are_refused(tmp_path):
    Image.new("F", (8, 8)).save(tmp_path / "e.tiff")
    (tmp_path / "e.tiff").rename(tmp_path / "e.png")
    with pytest.raises(ValueError, match=r"e\.png: not a readable image \(32-bit pixels; save it with 8\)"):
        read_image(tmp_path / "e.png")


def test_a_broken_image_is_named_and_refused(tmp_path):
    path = tmp_path / "b.JPG"
    Image.new("RGB", (40, 30)).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ValueError, match=r"b\.JPG: not a readable image .*mend or remove it"):
        read_image(path)
    path.write_text("no image")
    with pytest.raises(ValueError, match=r"b\.JPG: not a readable image"):
        read_image(path)
