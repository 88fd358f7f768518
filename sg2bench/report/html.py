"""Self-contained HTML pages: templates that escape text, with embedded files."""

from __future__ import annotations

import base64
import contextlib
import io
import warnings
from pathlib import Path

import jinja2
import numpy as np
from PIL import Image

_LEVELS = [5 * round(level / 5) for level in range(256)] * 3
"""Reduced levels of red, green and blue: none is off by more than 2 of 255, and black and white stay."""
_LONGEST_SIDE, _MOST_PIXELS = 16_383, 20_000_000
"""The limit of WebP, and a limit for the encoding time."""


def template(name: str) -> jinja2.Template:
    """Return a template of this folder."""
    loader = jinja2.PackageLoader("sg2bench.report", "")
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    return environment.get_template(name)


def data_uri(kind: str, content: bytes) -> str:
    """Return a data URI with the content; `kind` is its MIME type."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def picture_uri(file: Path) -> str:
    """Return a data URI with a PNG as WebP, at half the size in bytes: with slightly fewer colours, and at half the
    side if it was enlarged by 2. A picture that is too large or damaged stays a PNG.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # only the header is read
        with Image.open(file) as image, contextlib.suppress(OSError):
            if max(image.size) <= _LONGEST_SIDE and image.width * image.height <= _MOST_PIXELS:
                return data_uri("image/webp", _webp(image))
    return data_uri("image/png", file.read_bytes())


def _webp(image: Image.Image) -> bytes:
    pixels = np.asarray(image.convert("RGB").point(_LEVELS))
    half, encoded = pixels[::2, ::2], io.BytesIO()
    is_twice = not any(side % 2 for side in image.size) and bool((half.repeat(2, 0).repeat(2, 1) == pixels).all())
    Image.fromarray(np.ascontiguousarray(half) if is_twice else pixels).save(encoded, format="WEBP", lossless=True)
    return encoded.getvalue()
