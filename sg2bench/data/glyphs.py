"""Characters A-Z, a-z and 0-9 in real typefaces, each class of typefaces a domain: content is the character, style the
typeface with its weight.

All typefaces are scaled to the same height of capital H and share one baseline; a character's ink is centred.
Val holds the same characters in every domain. A letter's two cases stay together, since many look alike.
"""

from __future__ import annotations

import io
import json
import re
import string
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import PIL
from PIL import Image, ImageDraw, ImageFont, ImageOps, features

from sg2bench.config import Data
from sg2bench.data import folder as folders
from sg2bench.data import tarballs
from sg2bench.data.images import ImageSet
from sg2bench.files import cache_folder
from sg2bench.progress import track

VERSION = 1
IMAGE_SIZE = 64
CAP_HEIGHT, BASELINE = 28, 40
"""Height of H, and the baseline's distance from the top, in pixels; no character of FAMILIES is cut off."""
CHARACTERS = string.ascii_uppercase + string.ascii_lowercase + string.digits
WEIGHTS = {"400Regular": "regular", "700Bold": "bold"}
"""Weights by the package's folder that holds the font."""
_SUPERSAMPLING = 4
_PINNED = {
    "hand": {
        "caveat@0.4.2": "83d530c10d893c03c5d2e2c1a7c52532ffb4de7eb8d8cfcf81bad0dfedfc959f",
        "dancing-script@0.4.2": "b0468b3ab5c79df6ef599349a283ffd342d3caf5d7ead9a41520767499627130",
        "great-vibes@0.4.1": "d117f1f42d10ba8eeab629a7badd6238de7d6a5b391783e7f99c991290c075e3",
        "indie-flower@0.4.1": "f51493cb301ac7a8b61e86bea3cd59694c0c900dd9c4ba3caf30f1cfc134471d",
        "kalam@0.4.1": "d26f2d3932bf75cb065a6ef900a0f76609099a22b487a04e31459626abf97932",
        "pacifico@0.4.1": "0db305f7c2a715a876071a53dc42b847e73d5072ca0853e1e4991164ab06d83f",
        "patrick-hand@0.4.1": "94b76c78752c8c11c36802eeac282c4c467599150800065e426f94e37212b0c5",
        "sacramento@0.4.1": "9312c8030e7c2b84f02401b750e9df8f66ada7bc22c5efabc858458c1a2c478a",
        "satisfy@0.4.1": "781bf37fdeb373b44d3452ce2fda00eb33001edf73d2f8d663c5af6308014162",
        "shadows-into-light@0.4.1": "c99a4994ff32cd899750a3e2af36dd539b7eeeeac3637c6670997108e0bc7dda",
    },
    "sans": {
        "fira-sans@0.4.1": "89eaf2db7774f47fb5854c8193386ca5cccd591454555443439e49553d44a710",
        "inter@0.4.2": "b5c1e5878c07a5637169da9f7b1f370c69709f1f8de55998e2522f7aa9dfe2a9",
        "lato@0.4.1": "5cb54872e0134d491496bf10fa0afa305894f752f3ed6d4fa2f3f46a93545ed4",
        "montserrat@0.4.2": "27dfd624c74ba3240597a643d580ea8fe043eda17aceeee50364e08d542cd78e",
        "nunito@0.4.2": "0587c2bb273575fcd9238db5ea4405a65cb4f7ae8fcadfbef059c1b16ef8e773",
        "open-sans@0.4.2": "95d4fdbbb2862c4cc05dff55212730394d9af312b685cab740811c1ce7c4e5be",
        "poppins@0.4.1": "de5ee7515fec3f68ce73aea4ceec8dee1d51434a3791bcdf1b994e76385a3c89",
        "raleway@0.4.2": "b14edd97966622c3ecab0ab5e0532b9f8c892d1ea7cc3e391709137bee4e227d",
        "roboto@0.4.3": "d5fabe7f5e706dc3c6b4e39687c5a45f1b25975dd689d8d850a97f41a00fa85f",
        "work-sans@0.4.2": "083565de2d4754cacddbb51cfd5ba436b2ad368daf6c0c4d2ed40b3cc3323a73",
    },
    "serif": {
        "bitter@0.4.2": "3d29a6df15a5195f765f13ed800d7ee5ce949f77160e7d729227835e606df74a",
        "crimson-text@0.4.0": "259d758e550dc3b0d316f2fc8bd8c610e1ce25cceeaf2c507f3e99f0d0cecddd",
        "eb-garamond@0.4.3": "4b394f925314ad33790d571812b99370612ed40ca470ac64f9a98ab637dfea20",
        "libre-baskerville@0.4.3": "62b2d7da3f78baf159c06abdf69f3b6ce158082f06f04297ca02d93ed9abdf79",
        "lora@0.4.2": "ce5358724e12aa5b7fab7c487982d696f5c4809c470ea081d0a8c541b801a637",
        "merriweather@0.4.2": "4a2b090c3b585f0257bc3f8d362151e90a4975f420899e2db058ae89a9d691d3",
        "noto-serif@0.4.2": "78810a8143112a326def7ec976601ecb9855a9e79082c727246beec4f0531d0c",
        "playfair-display@0.4.2": "32881439ce695ae85d7d949d4645825a5cb6bac0d464d0ffa09126c922e44e52",
        "pt-serif@0.4.1": "e389c34deddccd1db2ee8fb320bd301155a7820301240bf6e195e46b374a85f2",
    },
}
_NOT_IN_THE_LICENSE = {"satisfy": "Copyright (c) 2011 by Font Diner, Inc. All rights reserved"}
"""Copyright notices that only the font file holds."""


@dataclass(frozen=True)
class Family(tarballs.Package):
    """A typeface in its weights: its npm package and its domain."""

    domain: str

    @property
    def name(self) -> str:
        """Short name: `lora` for `@expo-google-fonts/lora@0.4.2`."""
        return self.package.split("/")[-1].split("@")[0]


FAMILIES = tuple(
    Family(f"@expo-google-fonts/{package}", digest, domain)
    for domain, packages in _PINNED.items()
    for package, digest in packages.items()
)


def load(data: Data, image_size: int) -> ImageSet:
    """Load the fetched glyphs. If they are missing, raises ValueError with the command that fetches them."""
    return folders.load(tarballs.fetched(data.root or default_folder(), "glyphs"), data.domains)


def default_folder() -> Path:
    return cache_folder() / f"glyphs-{VERSION}"


def fetch(target: Path, given: Path | None = None) -> None:
    """Draw target/{train,val}/<domain>/<character>__<typeface>-<weight>.png, 64 px; add LICENSES.txt and VERSION.

    Tarballs are taken from the folder `given`, or downloaded with npm; their SHA-256 is checked either way.
    Nothing is left behind on failure. Raises ValueError that says what to do.
    """
    with tarballs.new_set(target, FAMILIES, given, 68) as (work, archives):
        notices = []
        for family, archive in track(tuple(zip(FAMILIES, archives, strict=True)), "drawing characters"):
            for split in ("train", "val"):
                (work / split / family.domain).mkdir(parents=True, exist_ok=True)
            files = {member.name: _read(archive, member) for member in archive if _is_wanted(member)}
            for weight, font in _fonts(files):
                for character in CHARACTERS:
                    name = f"{content(character)}__{family.name}-{weight}.png"
                    draw(font, character).save(work / split_of(character) / family.domain / name)
            notices.append(f"{family.domain}: {family.package}, {_license(files)}. {_notice(family, files)}")
        drawn_by = f"Pillow {PIL.__version__}, FreeType {features.version('freetype2')}"
        (work / "VERSION").write_text(f"glyphs {VERSION}, {drawn_by}\n", encoding="utf-8")
        notices.append("Changed here: characters drawn as images of 64 px.")
        (work / tarballs.LICENSES).write_text("\n".join(notices) + "\n", encoding="utf-8")


def content(character: str) -> str:
    """Return `upper-a`, `lower-a` or `digit-7`: file names that differ even where case is ignored."""
    kind = "digit" if character.isdigit() else "upper" if character.isupper() else "lower"
    return f"{kind}-{character.lower()}"


def split_of(character: str) -> str:
    """Return the split: `val` for A, M, P, T and Z in both cases and for 2, about one character in five."""
    return "val" if zlib.crc32(character.lower().encode()) % 5 == 2 else "train"


def scaled_font(file: bytes) -> ImageFont.FreeTypeFont:
    """Load the font at the size that gives its H the common height."""

    def sized(size: float) -> ImageFont.FreeTypeFont:
        return ImageFont.truetype(io.BytesIO(file), size, layout_engine=ImageFont.Layout.BASIC)

    height = -sized(1000).getbbox("H", anchor="ls")[1]
    return sized(1000 * CAP_HEIGHT * _SUPERSAMPLING / height)


def draw(font: ImageFont.FreeTypeFont, character: str) -> Image.Image:
    """Draw a character black on white, in grey scale. Raises ValueError if it does not fit."""
    side = IMAGE_SIZE * _SUPERSAMPLING
    page = Image.new("L", (3 * side, side))
    ImageDraw.Draw(page).text((side, BASELINE * _SUPERSAMPLING), character, fill=255, font=font, anchor="ls")
    left, top, right, bottom = page.getbbox() or (0, 0, 0, 0)
    if not (0 < right - left <= side and top > 0 and bottom < side):
        raise ValueError(f"{font.getname()[0]}: {character} does not fit into an image; leave the family out")
    start = (left + right - side) // 2
    return ImageOps.invert(page.crop((start, 0, start + side, side)).reduce(_SUPERSAMPLING))


def _is_wanted(member: tarfile.TarInfo) -> bool:
    weights = "|".join(WEIGHTS)
    return re.fullmatch(rf"package/(package\.json|LICENSE_FONT|({weights})/[^/]+\.ttf)", member.name) is not None


def _read(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    assert file is not None
    return file.read()


def _fonts(files: dict[str, bytes]) -> Iterator[tuple[str, ImageFont.FreeTypeFont]]:
    """Yield (weight, font) for each weight of a package."""
    for name, file in files.items():
        if name.endswith(".ttf"):
            yield WEIGHTS[Path(name).parent.name], scaled_font(file)


def _license(files: dict[str, bytes]) -> str:
    """Return the font's licence: `OFL-1.1` of `MIT AND OFL-1.1`, where MIT covers the package's code."""
    return str(json.loads(files["package/package.json"])["license"]).split(" AND ")[-1]


def _notice(family: Family, files: dict[str, bytes]) -> str:
    """Return the copyright notice at the start of the font's licence, as one line."""
    first = re.split(r"\r?\n\r?\n", files["package/LICENSE_FONT"].decode().lstrip())[0]
    notice = " ".join(first.split()).rstrip(".,") if first.startswith("Copyright") else _NOT_IN_THE_LICENSE[family.name]
    return f"{notice}."
