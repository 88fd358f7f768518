"""Decoding of image files to 8-bit RGB."""

from __future__ import annotations

import io
import itertools
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, TiffImagePlugin, UnidentifiedImageError

from sg2bench import texts
from sg2bench.data.essentials import essentials

FORMATS = {"PNG": (".png",), "JPEG": (".jpg", ".jpeg"), "WEBP": (".webp",), "BMP": (".bmp",), "TIFF": (".tif", ".tiff")}
"""Formats that are read, by Pillow's names, with the extensions searched for; the content decides, not the extension.
"""
EXTENSIONS = tuple(itertools.chain(*FORMATS.values()))
MOST_BYTES = 2**30

_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_REDUCED_PAGE = 254, 1
"""TIFF's tag for the kind of a page, and its bit for a reduced copy of another page."""
_MOST_PAGES = 100
_WHITE_IS_ZERO = 262, 0
"""TIFF's tag and value for inverted grey, which Pillow handles at 8 bits but not at 16."""

warnings.filterwarnings("ignore", module=r"PIL\.")  # about tags that are not used here, without a file name


class _UnusableError(ValueError):
    """The file is intact, but not of a usable kind."""


def read_image(path: Path) -> Image.Image:
    """Decode a file to 8-bit RGB, rotated as its EXIF data say, with transparency on white and 16 bits scaled to 8.

    Raises ValueError that names a broken file.
    """
    try:
        return decode(read_bytes(path))
    except ValueError as error:
        raise broken(path, error) from None


def broken(path: Path, why: ValueError) -> ValueError:
    """Return the error for a file that cannot be decoded."""
    return ValueError(f"{texts.one_line(str(path))}: not a readable image ({why}); repair or remove it")


def read_bytes(path: Path) -> bytes:
    """Read a file. Raises ValueError with the reason if it is empty, too large or unreadable."""
    try:
        if path.exists() and not path.is_file():
            raise ValueError("it is not a file")
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        broken_link = path.is_symlink() and not path.exists()
        raise ValueError("it is a broken link" if broken_link else error.strerror or str(error)) from None
    if not content:
        raise ValueError("it is empty")
    if len(content) > MOST_BYTES:
        raise ValueError("it is larger than 1 GiB")
    return content


def decode(content: bytes) -> Image.Image:
    """Decode a file's content as `read_image` does. Raises ValueError with the reason if that fails."""
    try:
        return _decode(content)
    except _UnusableError:
        raise
    except Exception as error:  # Pillow raises many kinds of exceptions for broken files
        reason = _reason(error)
    try:
        return _decode(essentials(content))
    except Exception:
        raise ValueError(reason) from None


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "it is not a readable PNG, JPEG, WebP, BMP or TIFF"
    if isinstance(error, Image.DecompressionBombError):
        return f"it has more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels; make it smaller"
    return texts.one_line(str(error)) or type(error).__name__


def _decode(content: bytes) -> Image.Image:
    with Image.open(io.BytesIO(content), formats=tuple(FORMATS)) as stored:
        _refuse_several_frames(stored)
        stored.load()
        rgb = _rgb(stored, content)
        turn = _UPRIGHT.get(_orientation(stored))
        return rgb if turn is None else rgb.transpose(turn)


def _refuse_several_frames(stored: ImageFile.ImageFile) -> None:
    """Raise _UnusableError for an animation or a file of several pages."""
    several = getattr(stored, "is_animated", False) and stored.format != "MPO"  # a photo with its depth map
    if several and not (isinstance(stored, TiffImagePlugin.TiffImageFile) and _is_one_page(stored)):
        raise _UnusableError("it holds several frames or pages; save the one you need")


def _is_one_page(stored: TiffImagePlugin.TiffImageFile) -> bool:
    """Return whether all pages except the first are reduced copies of it."""
    tag, bit = _REDUCED_PAGE
    for page in range(1, _MOST_PAGES):
        try:
            stored.seek(page)
        except EOFError:
            stored.seek(0)
            return True
        if not stored.tag_v2.get(tag, 0) & bit:
            break
    return False


def _orientation(stored: ImageFile.ImageFile) -> int:
    try:
        return int(stored.getexif().get(_ORIENTATION, 1))
    except Exception:  # ignore broken EXIF data
        return 1


def _rgb(stored: ImageFile.ImageFile, content: bytes) -> Image.Image:
    if stored.mode in ("I", "F"):
        raise _UnusableError("it has 32-bit pixels; save it with 8 bits")
    if not min(stored.size):
        raise _UnusableError("it has no pixels")
    image: Image.Image = stored
    if stored.mode.startswith("I;16"):
        image = Image.fromarray((_grey16(stored) >> 8).astype(np.uint8))
    elif any(band in "Aa" for band in stored.getbands()) or (stored.mode == "P" and "transparency" in stored.info):
        layer = (stored.convert("LA") if stored.mode == "La" else stored).convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    image = image.convert("RGB")
    if stored.format == "PNG" and stored.mode != "P" and "transparency" in stored.info:
        image.paste("white", mask=Image.fromarray(_transparent(stored, content)))
    return image


def _grey16(stored: ImageFile.ImageFile) -> NDArray[np.uint16]:
    samples: NDArray[np.uint16] = np.asarray(stored)
    tag, value = _WHITE_IS_ZERO
    inverted = isinstance(stored, TiffImagePlugin.TiffImageFile) and stored.tag_v2.get(tag) == value
    return ~samples if inverted else samples


def _transparent(stored: ImageFile.ImageFile, content: bytes) -> NDArray[np.bool_]:
    """Return which pixels have the colour that a PNG declares transparent, compared at full bit depth."""
    depth = content[24]
    samples = np.asarray(stored)
    if stored.mode == "L":
        samples = samples // (255 // (2**depth - 1))  # Pillow scales fewer bits to 8
    elif stored.mode == "RGB" and depth == 16:
        samples = samples.astype(np.uint16) << 8 | _lower_bytes(content)
    key = np.array(stored.info["transparency"]) & (2**depth - 1)
    equal = np.asarray(samples == key)
    return np.asarray(equal.all(-1)) if stored.mode == "RGB" else equal


def _lower_bytes(content: bytes) -> NDArray[np.uint8]:
    """Return the lower bytes of a PNG's 16-bit colours. Pillow keeps the upper ones, so read in reversed byte order."""
    with Image.open(io.BytesIO(content), formats=("PNG",)) as stored:
        stored.tile = [tile._replace(args="RGB;16L") for tile in stored.tile]
        return np.asarray(stored)
