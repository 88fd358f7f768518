from __future__ import annotations

import io
import os
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sg2bench.data import decode as decode_module
from sg2bench.data.decode import EXTENSIONS, decode, read_image
from tests.data.files import PIXELS, chunk, png, saved, tiff


def stored(image, path, **options):
    """The pixels of an image that was saved and read again."""
    image.save(path, **options)
    return np.asarray(read_image(path))


def decoded(content):
    return np.asarray(decode(content))


def test_transparency_is_laid_on_white(tmp_path):
    assert stored(Image.new("RGBA", (8, 8), (255, 0, 0, 0)), tmp_path / "a.png")[0, 0].tolist() == [255, 255, 255]
    assert stored(Image.new("LA", (8, 8), (0, 51)), tmp_path / "b.png")[0, 0].tolist() == [204, 204, 204]
    for name in ("c.webp", "d.tif"):
        image = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
        assert stored(image, tmp_path / name, lossless=True)[0, 0].tolist() == [255, 255, 255]


@pytest.mark.parametrize("depth", [1, 2, 4, 8, 16])
def test_a_transparent_grey_of_any_depth_is_white_and_all_others_stay(depth):
    levels = range(2**depth) if depth < 16 else range(0, 2**16, 257)
    shown = [level * 255 // (2**depth - 1) if depth < 16 else level >> 8 for level in levels]
    bits = "".join(f"{level:0{depth}b}" for level in levels).ljust(-(-len(levels) * depth // 8) * 8, "0")
    row = int(bits, 2).to_bytes(len(bits) // 8, "big")
    for key in {0, len(levels) // 2, len(levels) - 1}:
        content = png(depth, 0, [row], len(levels), chunk(b"tRNS", struct.pack(">H", levels[key])))
        expected = [*shown[:key], 255, *shown[key + 1 :]]
        assert (decoded(content)[0] == np.array(expected)[:, None]).all()
    assert (decoded(png(depth, 0, [row], len(levels)))[0] == np.array(shown)[:, None]).all()


@settings(max_examples=50)
@given(st.sampled_from([8, 16]), st.data())
def test_a_transparent_colour_is_white_and_its_neighbours_are_not(depth, data):
    colours = data.draw(st.lists(st.tuples(*[st.integers(0, 2**depth - 1)] * 3), min_size=1, max_size=6))
    red, green, blue = key = data.draw(st.sampled_from(colours))
    colours += [(red ^ 1, green, blue), (red, green ^ 1, blue), (red, green, blue ^ 1)]
    form = f">{3 * len(colours)}{'BH'[depth == 16]}"
    row = struct.pack(form, *(value for colour in colours for value in colour))
    content = png(depth, 2, [row], len(colours), chunk(b"tRNS", struct.pack(">3H", *key)))
    expected = [[255] * 3 if colour == key else [value >> depth - 8 for value in colour] for colour in colours]
    assert decoded(content)[0].tolist() == expected


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_a_transparent_entry_of_a_palette_is_white(depth):
    palette = chunk(b"PLTE", bytes((9, 9, 9, 200, 30, 60)))
    for alphas, expected in ((b"\0", [[255] * 3, [200, 30, 60]]), (b"\xff\0", [[9] * 3, [255] * 3])):
        row = int(f"{0:0{depth}b}{1:0{depth}b}".ljust(16, "0"), 2).to_bytes(2, "big")
        assert decoded(png(depth, 3, [row], 2, palette, chunk(b"tRNS", alphas)))[0].tolist() == expected


def test_sixteen_bits_with_alpha_are_scaled_and_laid_on_white():
    grey, colour = struct.pack(">HH", 0x8000, 0), struct.pack(">8H", *[0x4000] * 3, 0xFFFF, *[0x4000] * 3, 0)
    assert decoded(png(16, 4, [grey], 1))[0].tolist() == [[255] * 3]
    assert decoded(png(16, 6, [colour], 2))[0].tolist() == [[64] * 3, [255] * 3]


@pytest.mark.parametrize(("channels", "alpha", "expected"), [(1, 1, 255), (1, 2, 255), (3, 1, 255), (3, 2, 255)])
def test_alpha_of_a_tiff_premultiplied_or_not_is_laid_on_white(channels, alpha, expected):
    image = Image.fromarray(np.zeros((2, 2, 4), np.uint8), "RGBA")
    content = io.BytesIO()
    (image if channels == 3 else image.convert("LA")).save(content, "TIFF", tiffinfo={338: alpha})
    assert (decoded(content.getvalue()) == expected).all()


def test_sixteen_bits_are_scaled(tmp_path):
    ramp = np.linspace(0, 65535, 256).astype(np.uint16).reshape(16, 16)
    for name in ("a.png", "a.tif"):
        pixels = stored(Image.fromarray(ramp), tmp_path / name)
        assert (pixels == (ramp // 256)[..., None]).all()


@pytest.mark.parametrize("bits", [8, 16])
def test_grey_whose_zero_is_white_is_inverted_at_any_depth(bits):
    tags = {256: 2, 257: 1, 258: bits, 259: 1, 277: 1, 278: 1}
    strip = struct.pack("<HH" if bits == 16 else "<BB", 0, 2**bits - 1)
    assert decoded(tiff({**tags, 262: 1}, strip))[0, :, 0].tolist() == [0, 255]
    assert decoded(tiff({**tags, 262: 0}, strip))[0, :, 0].tolist() == [255, 0]


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif"])
@pytest.mark.parametrize("turn", range(1, 9))
def test_phone_photos_stand_upright(tmp_path, name, turn):
    """Against Pillow's own reading of the tag."""
    from PIL import ImageOps

    tag = Image.Exif()
    tag[0x0112] = turn
    image = Image.fromarray(PIXELS)
    found = stored(image, tmp_path / name, exif=tag, **({"lossless": True} if name == "a.webp" else {}))
    assert found.shape == ((24, 30, 3) if turn < 5 else (30, 24, 3))
    with Image.open(tmp_path / name) as opened:
        assert (found == np.asarray(ImageOps.exif_transpose(opened))).all()


def test_grey_cmyk_and_palette_become_rgb(tmp_path):
    assert stored(Image.new("L", (8, 8), 77), tmp_path / "a.png")[0, 0].tolist() == [77, 77, 77]
    cmyk = stored(Image.new("CMYK", (8, 8), (255, 0, 0, 0)), tmp_path / "b.jpg")
    assert cmyk[0, 0].tolist() == pytest.approx([0, 255, 255], abs=2)
    palette = Image.new("RGB", (8, 8), (9, 200, 30)).convert("P", palette=Image.Palette.ADAPTIVE)
    assert stored(palette, tmp_path / "d.png")[0, 0].tolist() == [9, 200, 30]


@pytest.mark.parametrize("ending", EXTENSIONS)
def test_every_format_is_read_under_the_name_of_every_other(tmp_path, ending):
    for kind in ("PNG", "BMP", "TIFF"):
        (tmp_path / f"a{ending}").write_bytes(saved(kind))
        assert (np.asarray(read_image(tmp_path / f"a{ending}")) == PIXELS).all()


def test_32_bits_are_refused(tmp_path):
    Image.new("F", (8, 8)).save(tmp_path / "e.tiff")
    (tmp_path / "e.tiff").rename(tmp_path / "e.png")
    with pytest.raises(ValueError, match=r"e\.png: not a readable image \(it has 32-bit pixels; save it with 8 bits\)"):
        read_image(tmp_path / "e.png")


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_animations_and_files_of_several_pages_are_refused(kind):
    more = {"save_all": True, "append_images": [Image.fromarray(PIXELS[::-1].copy())]}
    with pytest.raises(ValueError, match="it holds several frames or pages; save the one you need"):
        decode(saved(kind, **more))


def test_a_photo_with_its_depth_or_its_thumbnail_is_one_image():
    def with_a_smaller_one(kind, **options):
        smaller = Image.fromarray(PIXELS[::2, ::2].copy())
        return saved(kind, save_all=True, append_images=[smaller], **options)

    assert (decoded(with_a_smaller_one("MPO")) == decoded(saved("JPEG"))).all()
    pages = with_a_smaller_one("TIFF", tiffinfo={254: 0})
    with pytest.raises(ValueError, match="several frames or pages"):
        decode(pages)
    reduced = pages.rindex(b"\xfe\0\4\0\1\0\0\0") + 8
    assert (decoded(pages[:reduced] + b"\1" + pages[reduced + 1 :]) == PIXELS).all()


def test_what_is_no_image_of_a_format_that_is_read_is_refused_and_runs_nothing(tmp_path, monkeypatch):
    def run(*_):
        raise AssertionError("a program was started")

    monkeypatch.setattr("subprocess.Popen", run)
    monkeypatch.setattr(os, "system", run)
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"
    for content in (eps, b"%PDF-1.4\n", saved("GIF"), saved("PPM"), saved("TGA"), b"no image", b"\0" * 999):
        (tmp_path / "a.jpg").write_bytes(content)
        with pytest.raises(
            ValueError, match=r"a\.jpg: not a readable image \(it is not a readable PNG, JPEG, WebP, BMP or TIFF"
        ):
            read_image(tmp_path / "a.jpg")


@pytest.mark.parametrize("side", [14_000, 100_000, 2**31 - 1])
def test_an_image_of_too_many_pixels_is_refused_before_it_is_decoded(side):
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    with pytest.raises(ValueError, match="it has more than 178,956,970 pixels; make it smaller"):
        decode(content)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_large_photo_is_read():
    """Pillow warns from 89 million pixels on; phones make more."""
    assert decode(saved("PNG", np.zeros((9000, 10000), np.uint8))).size == (10000, 9000)


def test_what_is_no_file_or_holds_nothing_is_named(tmp_path, monkeypatch):
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "link.png").symlink_to(tmp_path / "nowhere")
    (tmp_path / "circle.png").symlink_to(tmp_path / "circle.png")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "pipe.png")
    for name, why in {
        "empty": "it is empty",
        "folder": "it is not a file",
        "link": "it is a broken link",
        "circle": "it is a broken link",
        "zero": "it is not a file",
        "pipe": "it is not a file",
    }.items():
        with pytest.raises(ValueError, match=rf"{name}\.png: not a readable image \({why}\); repair or remove it"):
            read_image(tmp_path / f"{name}.png")
    Image.fromarray(PIXELS).save(tmp_path / "large.png")
    monkeypatch.setattr(decode_module, "MOST_BYTES", 99)
    with pytest.raises(ValueError, match=r"large\.png: not a readable image \(it is larger than 1 GiB\)"):
        read_image(tmp_path / "large.png")


def test_a_file_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    def refuse(self, *_, **__):
        raise PermissionError(13, "Permission denied", str(self))

    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    monkeypatch.setattr("pathlib.Path.open", refuse)
    with pytest.raises(ValueError, match=r"a\.png: not a readable image \(Permission denied\)"):
        read_image(tmp_path / "a.png")


def test_a_broken_image_is_named_and_refused(tmp_path):
    path = tmp_path / "b.JPG"
    Image.new("RGB", (40, 30)).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ValueError, match=r"b\.JPG: not a readable image .*repair or remove it"):
        read_image(path)
    path.write_text("no image")
    with pytest.raises(ValueError, match=r"b\.JPG: not a readable image"):
        read_image(path)
