"""Reduce an image file to what its pixels need: no text, colour profile, thumbnail or maker notes, broken or not."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator

from PIL import Image

_PNG, _PNG_CHUNKS = b"\x89PNG\r\n\x1a\n", (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"eXIf")
_WEBP_CHUNKS = (b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"EXIF")
_WEBP_FLAGS = 0b00011010
"""Flags that are kept: alpha, EXIF and animation; not colour profile and XMP."""
_SOI, _EOI, _SOS, _COMMENT = b"\xff\xd8", b"\xff\xd9", 0xDA, 0xFE
_ONE_PASS = (0xC0, 0xC1)
"""JPEG's markers of frames that are not progressive."""
_JPEG_APPS = {0xE0: (b"JFIF\0", 14), 0xE1: (b"Exif\0\0", 14), 0xEE: (b"Adobe", 12)}
"""Application segments that say how to read the pixels: their first bytes and minimum length."""


def essentials(content: bytes) -> bytes:
    """Return the file with only what its pixels need; unchanged if it cannot be split into parts."""
    if content.startswith(_PNG):
        return _PNG + b"".join(_png_chunks(content))
    if content.startswith(_SOI):
        return _jpeg(content)
    if content.startswith(b"RIFF") and content[8:12] == b"WEBP":
        body = b"WEBP" + b"".join(_webp_chunks(content))
        return b"RIFF" + struct.pack("<I", len(body)) + body
    return content


def _png_chunks(content: bytes) -> Iterator[bytes]:
    place, kind = len(_PNG), b""
    while kind != b"IEND" and place + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, place)
        end = place + 12 + length
        if kind in _PNG_CHUNKS:
            yield content[place:end]
        place = end


def _webp_chunks(content: bytes) -> Iterator[bytes]:
    place = 12
    while place + 8 <= len(content):
        kind, length = struct.unpack_from("<4sI", content, place)
        end = place + 8 + length + length % 2
        chunk = content[place:end]
        if kind == b"VP8X":
            chunk = chunk[:8] + bytes([content[place + 8] & _WEBP_FLAGS]) + chunk[9:]
        if kind in _WEBP_CHUNKS and (kind != b"EXIF" or end <= len(content)):
            yield chunk
        place = end


def _jpeg(content: bytes) -> bytes:
    kept, place, one_pass, channels = [_SOI], 2, False, b""
    while place + 4 <= len(content) and content[place] == 0xFF:
        mark, length = content[place + 1], int.from_bytes(content[place + 2 : place + 4], "big")
        if mark == 0xFF:  # fill byte
            place += 1
            continue
        end = place + 2 + length
        segment = content[place:end]
        if mark == _SOS:
            whole = b"".join(kept) + content[place:]
            return _ended(whole) if one_pass and segment[4:5] == channels and _EOI not in content[end:] else whole
        if mark in _ONE_PASS:
            one_pass, channels = True, segment[9:10]
        if _is_needed(mark, segment[4:]):
            kept.append(segment)
        place = end
    return content


def _is_needed(mark: int, data: bytes) -> bool:
    """Return whether a JPEG segment says how to read the pixels."""
    if mark in _JPEG_APPS:
        begin, least = _JPEG_APPS[mark]
        return data.startswith(begin) and len(data) >= least
    return mark != _COMMENT and not 0xE0 <= mark <= 0xEF


def _ended(content: bytes) -> bytes:
    """Append a JPEG's missing end marker if no pixel is missing, that is, if the bytes that follow change no pixel."""
    rest = content.rstrip(b"\xff")
    first, *others = (rest + bytes([more]) * 99 + _EOI for more in range(0, 0xFF, 31))
    expected = _pixels(first)
    return rest + _EOI if all(_pixels(other) == expected for other in others) else content


def _pixels(content: bytes) -> bytes:
    with Image.open(io.BytesIO(content), formats=("JPEG",)) as stored:
        return stored.tobytes()
