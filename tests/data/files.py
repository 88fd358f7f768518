"""Image files made byte by byte, as other programs write them."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from PIL import Image

PIXELS = np.random.default_rng(0).integers(0, 256, (24, 30, 3), np.uint8)
MARK = b"\x89PNG\r\n\x1a\n"


def saved(kind, pixels=PIXELS, **options):
    """The content of a file in one of Pillow's formats."""
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, kind, **options)
    return content.getvalue()


def chunk(kind, data):
    """A chunk of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(depth, colour, rows, width, *chunks):
    """A PNG of bit depth and colour type, its rows as bytes, with chunks before the pixels."""
    header = struct.pack(">IIBBBBB", width, len(rows), depth, colour, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    return MARK + chunk(b"IHDR", header) + b"".join(chunks) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def png_with(*chunks):
    """PIXELS as PNG, with chunks after its header."""
    content = saved("PNG")
    return content[:33] + b"".join(chunks) + content[33:]


def jpeg_with(mark, data):
    """PIXELS as JPEG, with a segment at its beginning."""
    content = saved("JPEG", quality=95)
    return content[:2] + b"\xff" + bytes([mark]) + struct.pack(">H", len(data) + 2) + data + content[2:]


def exif(*entries):
    """EXIF of entries (tag, type, number, four bytes)."""
    listed = b"".join(struct.pack("<HHI", *entry[:3]) + entry[3] for entry in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + listed + bytes(4)


def tiff(tags, strip=b""):
    """A little-endian TIFF of short tags and one uncompressed strip."""
    start = 8 + 2 + 12 * (len(tags) + 2) + 4
    tags = {**tags, 273: start, 279: len(strip)}
    listed = b"".join(struct.pack("<HHIHH", tag, 3, 1, value, 0) for tag, value in sorted(tags.items()))
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + listed + bytes(4) + strip
