"""Image sets in folders of files, the user's own."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from PIL import Image
from rich.progress import track

from sg2bench.data.decode import EXTENSIONS, read_image
from sg2bench.data.images import SPLITS, ImageSet, Split, choose_domains
from sg2bench.files import atomic_file, cache_folder, sha256
from sg2bench.hashes import stable_hash


def load(root: Path, wanted: tuple[str, ...] | None = None) -> ImageSet:
    """The set ROOT/{train,val}/<domain>/*; every file is opened and checked. `wanted` domains only, if given.

    Raises ValueError that names the folder or the file and says what to do.
    """
    for split in SPLITS:
        if not (root / split).is_dir():
            raise ValueError(f"{root / split}: no such folder; images are expected in {root}/{{train,val}}/<domain>/")
    found = {split: _domain_files(root / split) for split in SPLITS}
    if wanted is not None:
        choose_domains(tuple(sorted(set(found["train"]) | set(found["val"]))), wanted, str(root))
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
    return ImageSet(names, partial(_read_file, root), _fingerprint(root, files))


def _fingerprint(root: Path, files: Sequence[Path]) -> str:
    """Hash of all names and contents; every image is decoded once, and again when its size or date changes.

    Warns of images that are in train and in val.
    """
    dates = [[str(file), (status := (root / file).stat()).st_size, status.st_mtime_ns] for file in files]
    known = cache_folder() / "folders" / f"{stable_hash([str(root.resolve()), dates])}.json"
    if not known.is_file():
        digests = {}
        for file in track(files, f"Checking {len(files)} images of {root}", transient=True):
            read_image(root / file)
            digests[file.as_posix()] = sha256(root / file)
        with atomic_file(known) as temporary:
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


def load_real(root: Path) -> ImageSet:
    """Real images to hold fakes against: ROOT/{train,val}/<domain>/*, or ROOT/<domain>/* without validation images.

    Raises ValueError as `load`.
    """
    if (root / "train").is_dir() or not root.is_dir():
        return load(root)
    found = _domain_files(root)
    if not found:
        raise ValueError(
            f"{root}: holds no folders of images; expected {root}/{{train,val}}/<domain>/ or {root}/<domain>/"
        )
    names: dict[Split, dict[str, tuple[str, ...]]] = {"train": found, "val": dict.fromkeys(found, ())}
    return ImageSet(names, partial(_read_flat, root), _fingerprint(root, [Path(d, f) for d in found for f in found[d]]))


def _read_file(root: Path, split: Split, domain: str, name: str) -> Image.Image:
    return read_image(root / split / domain / name)


def _read_flat(root: Path, split: Split, domain: str, name: str) -> Image.Image:
    return read_image(root / domain / name)
