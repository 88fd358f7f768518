from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sg2bench.data.decode import decode
from tests.data.files import PIXELS, chunk, exif, jpeg_with, png_with, saved


def decoded(content):
    return np.asarray(decode(content))


BIG = zlib.compress(bytes(3 << 20))
TURNED = exif((0x0112, 3, 1, b"\x06\0\0\0"), (0x9204, 9, 1, struct.pack("<i", -5)))
ODD_CHUNKS = {
    "profile of more than 1 MiB": chunk(b"iCCP", b"x\0\0" + BIG),
    "profile by another method": chunk(b"iCCP", b"x\0\7" + BIG),
    "no profile": chunk(b"iCCP", b"x\0"),
    "text of more than 1 MiB": chunk(b"zTXt", b"x\0\0" + BIG),
    "text by another method": chunk(b"zTXt", b"x\0\5" + BIG),
    "international text of more than 1 MiB": chunk(b"iTXt", b"x\0\1\0\0\0" + BIG),
    "text that takes the name of transparency": chunk(b"tEXt", b"transparency\0x"),
    "gamma": chunk(b"gAMA", b"x"),
    "chromaticities": chunk(b"cHRM", b"x"),
    "resolution": chunk(b"pHYs", b"x"),
    "sRGB": chunk(b"sRGB", b""),
    "wrong checksum": chunk(b"tEXt", b"a\0b")[:-4] + b"abcd",
    "private chunk": chunk(b"a1b!", b"x"),
    "EXIF": chunk(b"eXIf", b"garbage"),
    "animation": chunk(b"acTL", b"") + chunk(b"fcTL", b""),
}
ODD_SEGMENTS = {
    "EXIF": (0xE1, b"Exif\0\0garbage"),
    "no EXIF": (0xE1, b"Exif\0\0"),
    "cut EXIF": (0xE1, b"Exif\0\0" + TURNED[:20]),
    "cut profile": (0xE2, b"ICC_PROFILE\0"),
    "other pictures": (0xE2, b"MPF\0garbage"),
    "Photoshop": (0xED, b"Photoshop 3.0\x008BIM\x03\xed"),
    "cut JFIF": (0xE0, b"JFIF\0"),
    "cut Adobe": (0xEE, b"Adobe"),
    "XMP": (0xE1, b"http://ns.adobe.com/xap/1.0/\0<x tiff:Orientation="),
    "comment": (0xFE, b"\xff\xfe\0"),
}


@pytest.mark.parametrize("odd", ODD_CHUNKS)
def test_a_png_is_read_whatever_its_other_chunks_hold(odd):
    assert (decoded(png_with(ODD_CHUNKS[odd])) == PIXELS).all()
    whole = saved("PNG")
    assert (decoded(whole[:-12] + ODD_CHUNKS[odd] + whole[-12:]) == PIXELS).all()
    assert (decoded(whole[:-12] + ODD_CHUNKS[odd][:-2]) == PIXELS).all()


@pytest.mark.filterwarnings(r"ignore::UserWarning:PIL.*")
@pytest.mark.parametrize("odd", ODD_SEGMENTS)
def test_a_jpeg_is_read_whatever_its_other_segments_hold(odd):
    assert (decoded(jpeg_with(*ODD_SEGMENTS[odd])) == decoded(saved("JPEG", quality=95))).all()


@pytest.mark.parametrize(
    "content",
    [
        jpeg_with(0xE1, b"Exif\0\0" + TURNED),
        png_with(chunk(b"eXIf", TURNED)),
        saved("WEBP", lossless=True, exif=b"Exif\0\0" + TURNED),
        png_with(chunk(b"eXIf", TURNED), ODD_CHUNKS["profile of more than 1 MiB"]),
    ],
    ids=["jpg", "png", "webp", "png with a large profile"],
)
def test_other_tags_than_the_orientation_do_not_matter(content):
    assert decoded(content).shape == (30, 24, 3)


def test_what_is_missing_after_the_last_pixel_does_not_matter():
    jpeg, whole = saved("JPEG", quality=95), saved("PNG")
    for content in (jpeg[:-1], jpeg[:-2], jpeg + b"junk" * 99, jpeg[:-2] + b"\xff\xff\xd9"):
        assert (decoded(content) == decoded(jpeg)).all()
    for content in (whole[:-6], whole[:-12], whole + b"junk" * 99):
        assert (decoded(content) == PIXELS).all()
    with_text = saved("WEBP", lossless=True, exif=b"Exif\0\0" + TURNED)
    assert (decoded(with_text[:-10]) == PIXELS).all()


@settings(max_examples=150)
@given(
    st.sampled_from(("JPEG", "PNG", "WEBP", "BMP", "TIFF")),
    st.sampled_from([{}, {"progressive": True}, {"optimize": True, "quality": 30}]),
    st.floats(0, 1),
)
def test_a_truncated_image_is_refused_or_all_its_pixels_are_there(kind, options, share):
    whole = saved(kind, **(options if kind == "JPEG" else {}))
    try:
        found = decoded(whole[: int(share * len(whole))])
    except ValueError as error:
        found, reason = None, str(error)
    assert reason.isprintable() if found is None else (found == decoded(whole)).all()
