"""Pictures as a page holds them: what the eye sees, in fewer bytes."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from sg2bench.report import html


def pixels(uri):
    kind, content = uri.removeprefix("data:").split(";base64,")
    with Image.open(io.BytesIO(base64.b64decode(content))) as image:
        return kind, np.asarray(image.convert("RGB")).astype(int)


@pytest.fixture
def noisy(tmp_path):
    values = np.random.default_rng(0).integers(0, 256, (40, 61, 3), dtype=np.uint8)
    values[0, :2] = [[0, 0, 0], [255, 255, 255]]
    Image.fromarray(values).save(tmp_path / "noisy.png")
    return tmp_path / "noisy.png"


def test_no_colour_is_off_by_more_than_two_levels_and_black_and_white_stay(noisy):
    kind, shown = pixels(html.picture_uri(noisy))
    assert kind == "image/webp"
    off = shown - np.asarray(Image.open(noisy)).astype(int)
    assert np.abs(off).max() == 2
    assert abs(off.mean()) < 0.05
    assert shown[0, :2].tolist() == [[0, 0, 0], [255, 255, 255]]


def test_what_was_enlarged_to_twice_its_size_is_held_at_its_own(noisy, tmp_path):
    image = Image.open(noisy)
    image.resize((122, 80), Image.Resampling.NEAREST).save(tmp_path / "twice.png")
    np.testing.assert_array_equal(
        pixels(html.picture_uri(tmp_path / "twice.png"))[1], pixels(html.picture_uri(noisy))[1]
    )
    image.resize((122, 80)).save(tmp_path / "smooth.png")
    assert pixels(html.picture_uri(tmp_path / "smooth.png"))[1].shape == (80, 122, 3)


def test_what_webp_cannot_hold_or_pillow_not_read_stays_as_it_is(noisy, tmp_path):
    Image.new("L", (16_384, 2)).save(tmp_path / "long.png")
    (tmp_path / "cut.png").write_bytes(noisy.read_bytes()[:2000])
    for name in ("long.png", "cut.png"):
        content = base64.b64encode((tmp_path / name).read_bytes()).decode()
        assert html.picture_uri(tmp_path / name) == f"data:image/png;base64,{content}"
