"""Emoji of three freely licensed vendors, each vendor a domain, aligned by code point.

One base code point in ten goes to val, with all its skin tones, the same ones in every domain.
"""

from __future__ import annotations

import io
import json
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from sg2bench.config import Data
from sg2bench.data import folder as folders
from sg2bench.data import tarballs, truth
from sg2bench.data.images import ImageSet
from sg2bench.files import cache_folder
from sg2bench.progress import track

IMAGE_SIZE = 64


@dataclass(frozen=True)
class Vendor(tarballs.Package):
    """One domain: its npm package, and the licence of its images."""

    domain: str
    images: str
    license: str
    notice: str


VENDORS = (
    Vendor(
        "@lobehub/fluent-emoji-3d@1.1.0",
        "c1bb7eee7de090205a232518a9ab4adb3df458bfbe8a1f78232991194c8b2e58",
        "fluent",
        "package/assets/",
        "MIT",
        "Fluent Emoji, copyright (c) Microsoft Corporation.",
    ),
    Vendor(
        "emoji-datasource-google@16.0.0",
        "fb5fd131b362aab7a55542d2a147a79708cce0a8b1c1bbacd470172708b5c438",
        "noto",
        "package/img/google/64/",
        "Apache-2.0",
        "Noto Emoji, copyright Google LLC.",
    ),
    Vendor(
        "emoji-datasource-twitter@16.0.0",
        "f64a530c63bca463bd8317fdc4615ce63a53a0c65018e4ce2d848aaba7a28877",
        "twemoji",
        "package/img/twitter/64/",
        "CC-BY-4.0",
        "Twemoji, copyright Twitter, Inc and other contributors.",
    ),
)


def load(data: Data, image_size: int) -> ImageSet:
    """Load the fetched emoji. If they are missing, raises ValueError with the command that fetches them."""
    place = tarballs.fetched(data.root or default_folder(), "emoji")
    return truth.aligned(folders.load(place, data.domains), truth.content_alone)


def default_folder() -> Path:
    return cache_folder() / "emoji-1"


def fetch(target: Path, given: Path | None = None) -> None:
    """Write the three sets as target/{train,val}/<vendor>/<code point>.png, 64 px on white, with LICENSES.txt.

    Tarballs are taken from the folder `given`, or downloaded with npm; their SHA-256 is checked either way.
    Nothing is left behind on failure. Raises ValueError that says what to do.
    """
    with tarballs.new_set(target, VENDORS, given, 152) as (work, opened):
        archives = {vendor.domain: archive for vendor, archive in zip(VENDORS, opened, strict=True)}
        listing = archives["noto"].extractfile("package/emoji.json")
        assert listing is not None
        base_of = dict(_bases(json.load(listing)))
        images = {vendor.domain: dict(_members(archives[vendor.domain], vendor)) for vendor in VENDORS}
        shared = sorted(code for code in base_of if all(code in of_vendor for of_vendor in images.values()))
        for vendor in VENDORS:
            for split in ("train", "val"):
                (work / split / vendor.domain).mkdir(parents=True)
            of_vendor = images[vendor.domain]
            for code in track(sorted(shared, key=lambda c: of_vendor[c].offset), f"{vendor.domain}: writing images"):
                member = archives[vendor.domain].extractfile(of_vendor[code])
                assert member is not None
                split = "val" if zlib.crc32(base_of[code].encode()) % 10 == 0 else "train"
                _on_white(member.read()).save(work / split / vendor.domain / f"{code}.png")
        (work / tarballs.LICENSES).write_text(licenses(), encoding="utf-8")


def licenses() -> str:
    """Return one line per vendor: domain, package, licence, copyright."""
    lines = [f"{vendor.domain}: {vendor.package}, {vendor.license}. {vendor.notice}" for vendor in VENDORS]
    return "\n".join([*lines, "Changed here: resized to 64 px, on a white background."]) + "\n"


def _bases(listing: list[dict[str, object]]) -> Iterator[tuple[str, str]]:
    """Yield (code, base code) of every emoji; a skin tone has the base code of its emoji."""
    for entry in listing:
        base = _code(str(entry["image"]))
        yield base, base
        variations = entry.get("skin_variations") or {}
        assert isinstance(variations, dict)
        for variation in variations.values():
            yield _code(variation["image"]), base


def _members(archive: tarfile.TarFile, vendor: Vendor) -> Iterator[tuple[str, tarfile.TarInfo]]:
    for member in archive:
        if member.isfile() and member.name.startswith(vendor.images):
            yield _code(member.name.removeprefix(vendor.images)), member


def _code(file_name: str) -> str:
    """Return the code points joined by `-`, without the variation selector, which vendors use differently."""
    return "-".join(part for part in Path(file_name).stem.lower().split("-") if part != "fe0f")


def _on_white(content: bytes) -> Image.Image:
    with Image.open(io.BytesIO(content)) as image:
        layer = image.convert("RGBA")
    flat = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return flat.resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.LANCZOS)
