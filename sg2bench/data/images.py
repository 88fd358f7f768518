"""Sets of images by split and domain: where each image comes from, and its pixels as 8-bit RGB."""

from __future__ import annotations

import csv
import hashlib
import json
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np
import torch
from PIL import Image, ImageOps
from rich.progress import track

from sg2bench import cache
from sg2bench.config import Data, stable_hash
from sg2bench.data import critters, emoji

Split = Literal["train", "val"]
SPLITS: tuple[Split, Split] = ("train", "val")
EXTENSIONS = (".png", ".jpg", ".jpeg", ".webp")
Part = TypeVar("Part")
_CACHE_BYTES = 2**30


@dataclass(frozen=True)
class ImageSet:
    """Images by split and domain name; domains in name order, the label of a domain is its place in that order."""

    names: Mapping[Split, Mapping[str, tuple[str, ...]]]
    read: Callable[[Split, str, str], Image.Image]
    fingerprint: str
    _decoded: dict[tuple[Split, str, int], Image.Image] = field(default_factory=dict, repr=False)
    _decoded_bytes: list[int] = field(default_factory=lambda: [0], repr=False)

    @property
    def domains(self) -> tuple[str, ...]:
        return tuple(self.names["train"])

    def count(self, split: Split, domain: str) -> int:
        return len(self.names[split][domain])

    def image(self, split: Split, domain: str, index: int) -> Image.Image:
        """One image, RGB, at its own size. Kept in memory while all those kept take less than 1 GiB."""
        key = (split, domain, index)
        if key in self._decoded:
            return self._decoded[key]
        image = self.read(split, domain, self.names[split][domain][index])
        if (size := image.width * image.height * 3) + self._decoded_bytes[0] <= _CACHE_BYTES:
            self._decoded[key] = image
            self._decoded_bytes[0] += size
        return image

    def batch(self, split: Split, domain: str, indices: Sequence[int], image_size: int) -> torch.Tensor:
        """Whole images resized (PIL, bilinear) to a square: uint8 (len(indices), 3, image_size, image_size)."""
        side = (image_size, image_size)
        arrays = [
            np.asarray(self.image(split, domain, index).resize(side, Image.Resampling.BILINEAR)) for index in indices
        ]
        return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).contiguous()


def load(data: Data, image_size: int) -> ImageSet:
    """The image set of a configuration; every file of a folder is opened and checked.

    Raises ValueError that names the folder or the file and says what to do.
    """
    if data.source == "critters":
        return _critters(data, image_size)
    if data.source == "emoji":
        return _folder(emoji.folder(data.root), data.domains)
    assert data.root is not None
    return _folder(data.root, data.domains)


def load_real(root: Path) -> ImageSet:
    """Real images to hold fakes against: ROOT/{train,val}/<domain>/*, or ROOT/<domain>/* without validation images.

    Raises ValueError as `load`.
    """
    if (root / "train").is_dir() or not root.is_dir():
        return _folder(root, None)
    found = _domain_files(root)
    if not found:
        raise ValueError(
            f"{root}: holds no folders of images; expected {root}/{{train,val}}/<domain>/ or {root}/<domain>/"
        )
    names: dict[Split, dict[str, tuple[str, ...]]] = {"train": found, "val": dict.fromkeys(found, ())}
    return ImageSet(
        names, partial(_read_flat, root), _folder_fingerprint(root, [Path(d, f) for d in found for f in found[d]])
    )


def _critters(data: Data, image_size: int) -> ImageSet:
    domains = _choose(critters.DOMAINS, data.domains, "critters")
    counts = {"train": data.train_per_domain, "val": data.val_per_domain}
    names = {split: {domain: tuple(map(str, range(counts[split]))) for domain in domains} for split in SPLITS}
    read = partial(_draw_critter, data.seed, image_size)
    first = [hashlib.sha256(read("train", domain, "0").tobytes()).hexdigest() for domain in domains]
    return ImageSet(
        names, read, stable_hash(["critters", critters.VERSION, image_size, data.seed, domains, counts, first])
    )


def _folder(root: Path, wanted: tuple[str, ...] | None) -> ImageSet:
    for split in SPLITS:
        if not (root / split).is_dir():
            raise ValueError(f"{root / split}: no such folder; images are expected in {root}/{{train,val}}/<domain>/")
    found = {split: _domain_files(root / split) for split in SPLITS}
    if wanted is not None:
        _choose(tuple(sorted(set(found["train"]) | set(found["val"]))), wanted, str(root))
        found = {split: {d: files for d, files in found[split].items() if d in wanted} for split in SPLITS}
    if set(found["train"]) != set(found["val"]):
        odd = sorted(set(found["train"]) ^ set(found["val"]))
        raise ValueError(
            f"{root}: train and val need images of the same domains; only one of them has {', '.join(odd)}"
        )
    domains = tuple(found["train"])
    if len(domains) < 2:
        raise ValueError(f"{root}: a translation needs at least 2 domains, found {', '.join(domains) or 'none'}")
    names = {split: {domain: found[split][domain] for domain in domains} for split in SPLITS}
    files = [Path(split, domain, name) for split in SPLITS for domain in domains for name in names[split][domain]]
    return ImageSet(names, partial(_read_file, root), _folder_fingerprint(root, files))


def _folder_fingerprint(root: Path, files: Sequence[Path]) -> str:
    """Hash of all names and contents; every image is decoded once, and again when its size or date changes.

    Warns of images that are in train and in val.
    """
    dates = [[str(file), (status := (root / file).stat()).st_size, status.st_mtime_ns] for file in files]
    known = cache.folder() / "folders" / f"{stable_hash([str(root.resolve()), dates])}.json"
    if not known.is_file():
        digests = {}
        for file in track(files, f"Checking {len(files)} images of {root}", transient=True):
            read_image(root / file)
            digests[file.as_posix()] = cache.sha256(root / file)
        with cache.atomic_file(known) as temporary:
            temporary.write_text(json.dumps(digests))
    digests = json.loads(known.read_text())
    _warn_of_duplicates(root, digests)
    whole = hashlib.sha256()
    for name, digest in digests.items():
        whole.update(f"{name}\0{digest}\0".encode())
    return whole.hexdigest()[:16]


def _warn_of_duplicates(root: Path, digests: Mapping[str, str]) -> None:
    trained = {digest: name for name, digest in digests.items() if name.startswith("train/")}
    both = [(name, trained[digest]) for name, digest in digests.items() if name[:4] == "val/" and digest in trained]
    if both:
        warnings.warn(
            f"{root}: {len(both)} of the validation images are training images, too, as {both[0][0]} = {both[0][1]}; "
            "a model has seen them, and values flatter it",
            stacklevel=2,
        )


def _domain_files(folder: Path) -> dict[str, tuple[str, ...]]:
    """Image files by domain; hidden files, hidden folders and folders without images are ignored."""
    domains = {}
    for domain in sorted(folder.iterdir()):
        if domain.is_dir() and not domain.name.startswith("."):
            files = sorted(
                path.name
                for path in domain.iterdir()
                if path.suffix.lower() in EXTENSIONS and not path.name.startswith(".") and path.is_file()
            )
            if files:
                domains[domain.name] = tuple(files)
    return domains


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


def loaded_ahead(load: Callable[[Part], torch.Tensor], parts: Iterable[Part]) -> Iterator[torch.Tensor]:
    """What `load` makes of each part, in order, the next one in a thread while this one is worked on."""
    with ThreadPoolExecutor(1) as thread:
        coming: Future[torch.Tensor] | None = None
        for part in parts:
            this, coming = coming, thread.submit(load, part)
            if this is not None:
                yield this.result()
        if coming is not None:
            yield coming.result()


def _draw_critter(seed: int, image_size: int, split: Split, domain: str, name: str) -> Image.Image:
    return Image.fromarray(critters.draw(domain, critters.factors(domain, split, int(name), seed), image_size))


def _read_file(root: Path, split: Split, domain: str, name: str) -> Image.Image:
    return read_image(root / split / domain / name)


def _read_flat(root: Path, split: Split, domain: str, name: str) -> Image.Image:
    return read_image(root / domain / name)


def _choose(known: tuple[str, ...], wanted: tuple[str, ...] | None, where: str) -> tuple[str, ...]:
    if wanted is None:
        return known
    if missing := sorted(set(wanted) - set(known)):
        raise ValueError(f"data.domains: {where} has no {', '.join(missing)} (it has {', '.join(known) or 'none'})")
    if len(set(wanted)) < 2:
        raise ValueError("data.domains: a translation needs at least 2 domains")
    return tuple(sorted(set(wanted)))


def export_critters(data: Data, image_size: int, out: Path) -> int:
    """Write the critters as out/{train,val}/<domain>/<index>.png with out/factors.csv; returns their number.

    Raises ValueError if `out` exists.
    """
    if out.exists():
        raise ValueError(f"{out}: exists already; give a folder that does not")
    images = _critters(data, image_size)
    rows = []
    with cache.atomic_folder(out) as work:
        for split in SPLITS:
            for domain in images.domains:
                (work / split / domain).mkdir(parents=True)
                for index, name in enumerate(images.names[split][domain]):
                    file = Path(split, domain, f"{int(name):05d}.png")
                    images.image(split, domain, index).save(work / file)
                    rows.append({"file": file.as_posix()} | asdict(critters.factors(domain, split, index, data.seed)))
        with (work / "factors.csv").open("w", newline="", encoding="utf-8") as file_of_factors:
            writer = csv.DictWriter(file_of_factors, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    return len(rows)
