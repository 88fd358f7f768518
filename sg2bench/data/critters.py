"""Critters: drawings of cats, dogs and bunnies, the same image for the same seed on every machine.

*Content* is what a translation keeps: position, size and rotation of the head. *Style* is what it takes from a latent
or a reference: colours of fur, eyes and background, and stripes. The shape of the head is the domain.

No library's rounding or random stream can change the pixels: see `canvas` and `factors`.
"""

from __future__ import annotations

import colorsys
import csv
import hashlib
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sg2bench.config import Data
from sg2bench.data.canvas import Canvas, Colour
from sg2bench.data.images import SPLITS, ImageSet, Split, choose_domains
from sg2bench.files import atomic_folder
from sg2bench.hashes import stable_hash

DOMAINS = ("bunny", "cat", "dog")
VERSION = 1
_DARK = (38, 30, 34)


@dataclass(frozen=True)
class Factors:
    """Factors of an image. Lengths in image widths, angle in degrees (positive is clockwise), colours RGB 0..255."""

    x: float
    y: float
    radius: float
    angle: float
    fur: Colour
    eyes: Colour
    background: Colour
    stripes: int


_COLOURS = [f"{part}_{channel}" for part in ("fur", "eyes", "background") for channel in ("red", "green", "blue")]
FACTORS = ("x", "y", "radius", "angle", *_COLOURS, "stripes")
"""Names of the numbers that `as_vector` returns."""


def as_vector(made_of: Factors) -> NDArray[np.float64]:
    """Return the factors as numbers, (14,), in the order of FACTORS."""
    content = made_of.x, made_of.y, made_of.radius, made_of.angle
    style = *made_of.fur, *made_of.eyes, *made_of.background, made_of.stripes
    return np.array([*content, *style], np.float64)


RANGES = {"x": (0.45, 0.55), "y": (0.57, 0.65), "radius": (0.27, 0.34), "angle": (-18, 18), "stripes": (0, 3)}
"""Ranges of the numeric factors, both ends included."""
FACTORS_FILE = "factors.csv"
"""File with the factors of all images, in the folder of a set that `export` wrote."""


def factors(domain: str, split: str, index: int, seed: int) -> Factors:
    """Draw the factors of image `index` of a domain's split. NumPy's legacy generator guarantees a stable stream."""
    rng = np.random.RandomState(zlib.crc32(f"critters-{VERSION}:{seed}:{split}:{domain}:{index}".encode()))

    def uniform(low: float, high: float) -> float:
        return round(float(rng.uniform(low, high)) * 4096) / 4096

    return Factors(
        x=uniform(*RANGES["x"]),
        y=uniform(*RANGES["y"]),
        radius=uniform(*RANGES["radius"]),
        angle=float(rng.randint(-18, 19)),
        fur=_hsv(uniform(0.03, 0.13), uniform(0.15, 0.8), uniform(0.5, 0.95)),
        eyes=_hsv(uniform(0, 1), uniform(0.6, 1), uniform(0.5, 0.9)),
        background=_hsv(uniform(0.25, 0.75), uniform(0.05, 0.4), uniform(0.8, 1)),
        stripes=int(rng.randint(0, 4)),
    )


def draw(domain: str, made_of: Factors, size: int) -> NDArray[np.uint8]:  # noqa: PLR0912 (three animals in one place)
    """Draw the image of these factors, uint8 RGB (size, size, 3)."""
    canvas = Canvas(size, made_of.background, (made_of.x, made_of.y), made_of.radius, made_of.angle)
    fur, light, shade = made_of.fur, _mix(made_of.fur, (255, 255, 255), 0.6), _mix(made_of.fur, _DARK, 0.45)
    if domain == "cat":
        for side in (-1, 1):
            canvas.polygon(((side * 0.98, -1.32), (side * 0.92, -0.25), (side * 0.18, -0.88)), fur)
            canvas.polygon(((side * 0.88, -1.08), (side * 0.82, -0.45), (side * 0.40, -0.82)), (240, 170, 180))
        canvas.ellipse(0, 0, 1, 0.9, fur)
    elif domain == "dog":
        canvas.ellipse(0, 0, 0.95, 1, fur)
        for side in (-1, 1):
            canvas.ellipse(side * 0.98, 0.12, 0.30, 0.78, shade, tilt=side * -12)
    else:
        for side in (-1, 1):
            canvas.ellipse(side * 0.38, -1.22, 0.25, 0.78, fur, tilt=side * 10)
            canvas.ellipse(side * 0.38, -1.22, 0.12, 0.58, (240, 170, 180), tilt=side * 10)
        canvas.ellipse(0, 0, 0.88, 0.85, fur)
    for stripe in range(made_of.stripes):
        canvas.ellipse((0, -0.24, 0.24)[stripe], -0.58, 0.07, 0.24, shade)
    for side in (-1, 1):
        canvas.ellipse(side * 0.38, -0.14, 0.23, 0.23, (255, 255, 255))
        canvas.ellipse(side * 0.38, -0.14, 0.18, 0.2, made_of.eyes)
        canvas.ellipse(side * 0.38, -0.14, 0.05 if domain == "cat" else 0.08, 0.13 if domain == "cat" else 0.08, _DARK)
    if domain == "cat":
        canvas.ellipse(0, 0.38, 0.34, 0.22, light)
        canvas.polygon(((-0.12, 0.24), (0.12, 0.24), (0, 0.38)), (225, 110, 130))
        for side in (-1, 1):
            for tilt in (-12, 10):
                canvas.ellipse(side * 0.82, 0.38, 0.42, 0.028, _DARK, tilt=side * tilt)
    elif domain == "dog":
        canvas.ellipse(0, 0.48, 0.52, 0.42, light)
        canvas.ellipse(0, 0.30, 0.22, 0.16, _DARK)
        canvas.ellipse(0, 0.74, 0.14, 0.16, (230, 95, 115))
    else:
        for side in (-1, 1):
            canvas.ellipse(side * 0.16, 0.36, 0.22, 0.18, light)
        canvas.ellipse(0, 0.22, 0.1, 0.07, (225, 110, 130))
        canvas.polygon(((-0.14, 0.48), (0.14, 0.48), (0.14, 0.78), (-0.14, 0.78)), (255, 255, 255))
        canvas.polygon(((-0.015, 0.48), (0.015, 0.48), (0.015, 0.78), (-0.015, 0.78)), _DARK)
    return canvas.image()


def load(data: Data, image_size: int) -> ImageSet:
    """Return the critters of a configuration as a set whose images are drawn when they are read."""
    domains = choose_domains(DOMAINS, data.domains, "critters")
    counts = {"train": data.train_per_domain, "val": data.val_per_domain}
    names = {split: dict.fromkeys(domains, tuple(map(str, range(counts[split])))) for split in SPLITS}
    read = partial(_draw, data.seed, image_size)
    first = [hashlib.sha256(read("train", domain, "0").tobytes()).hexdigest() for domain in domains]
    fingerprint = stable_hash(["critters", VERSION, image_size, data.seed, domains, counts, first])
    return drawn(ImageSet(names, read, fingerprint), partial(_factors, data.seed), image_size)


def drawn(images: ImageSet, factors_of: Callable[[Split, str, int], Factors], side: int) -> ImageSet:
    """Add factors and right images to a set. A right image has the source's content, the reference's style and the
    target's head; it is drawn at `side` pixels.
    """
    return replace(images, factors=factors_of, truth=partial(_truth, factors_of, side))


def mixed(content: Factors, style: Factors) -> Factors:
    """Combine position, size and rotation of one image with colours and stripes of another."""
    return replace(style, x=content.x, y=content.y, radius=content.radius, angle=content.angle)


def _truth(
    factors_of: Callable[[Split, str, int], Factors],
    side: int,
    source_domain: str,
    source_index: int,
    target_domain: str,
    reference_index: int,
) -> Image.Image:
    source = factors_of("val", source_domain, source_index)
    reference = factors_of("val", target_domain, reference_index)
    return Image.fromarray(draw(target_domain, mixed(source, reference), side))


@cache  # an evaluation asks many times for the same source or reference
def _factors(seed: int, split: Split, domain: str, index: int) -> Factors:
    return factors(domain, split, index, seed)


def _draw(seed: int, image_size: int, split: Split, domain: str, name: str) -> Image.Image:
    return Image.fromarray(draw(domain, factors(domain, split, int(name), seed), image_size))


def export(data: Data, image_size: int, out: Path) -> int:
    """Write the critters as out/{train,val}/<domain>/<index>.png with out/factors.csv; return their number.

    Raises ValueError if `out` exists.
    """
    if out.exists():
        raise ValueError(f"{out}: already exists; name a new folder")
    images = load(data, image_size)
    rows = []
    with atomic_folder(out) as work:
        for split in SPLITS:
            for domain in images.domains:
                (work / split / domain).mkdir(parents=True)
                for index, name in enumerate(images.names[split][domain]):
                    file = Path(split, domain, f"{int(name):05d}.png")
                    images.image(split, domain, index).save(work / file)
                    rows.append({"file": file.as_posix()} | asdict(factors(domain, split, index, data.seed)))
        with (work / FACTORS_FILE).open("w", newline="", encoding="utf-8") as file_of_factors:
            writer = csv.DictWriter(file_of_factors, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    return len(rows)


def _hsv(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = (round(channel * 255) for channel in colorsys.hsv_to_rgb(hue, saturation, value))
    return red, green, blue


def _mix(colour: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(colour, other, strict=True))
    return red, green, blue
