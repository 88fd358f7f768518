"""Image files as 8-bit RGB."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

EXTENSIONS = (".png", ".jpg", ".jpeg", ".webp")


def read_image(path: Path) -> Image.Image:
    """Decode a file to 8-bit RGB, upright as its EXIF says; transparency is laid on white, 16-bit grey is scaled.

    Raises ValueError that names a broken file.
    """
    try:
        with Image.open(path) as stored:
            image = ImageOps.exif_transpose(stored)
            if image.mode.startswith("I;16"):
                image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
            if image.mode in ("I", "F"):
                raise ValueError("32-bit pixels; save it with 8")
            if "A" in image.getbands() or "transparency" in image.info:
                layer = image.convert("RGBA")
                return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
            return image.convert("RGB")
    except Exception as error:  # Pillow raises many kinds for files that are not what they seem
        raise ValueError(f"{path}: not a readable image ({error}); mend or remove it") from None
