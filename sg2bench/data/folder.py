"""Image sets in folders of files, the user's own."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

from PIL import Image

from sg2bench import texts
from sg2bench.data import listing
from sg2bench.data.checks import Checked, Found, check
from sg2bench.data.decode import EXTENSIONS, read_image
from sg2bench.data.factors_file import with_factors
from sg2bench.data.images import SPLITS, ImageSet, Split, choose_domains
from sg2bench.data.listing import LeftOut
from sg2bench.data.truth import aligned

_LITTLE_SPAN = 64
"""Images of 12 bits in files of 16 span 15 of 255 values, of 14 bits 63."""
_MANY = 0.1
"""Share of a domain's images that is worth a warning."""

Names = dict[str, tuple[str, ...]]
"""Files by domain, both in order of their names."""


def load(root: Path, wanted: tuple[str, ...] | None = None) -> ImageSet:
    """The set ROOT/{train,val}/<domain>/*; every file is opened and checked. `wanted` domains only, if given.

    Warns of what is left out and of what is implausible. Raises ValueError that names the folder or the file and says
    what to do.
    """
    for split in SPLITS:
        if not (root / split).is_dir():
            raise ValueError(f"{root / split}: no such folder; images are expected in {root}/{{train,val}}/<domain>/")
    left_out = _next_to_splits(root)
    found = {split: _domains(root / split, left_out, wanted) for split in SPLITS}
    left_out.warn()
    if wanted is not None:
        choose_domains(tuple(sorted({*found["train"], *found["val"]})), wanted, str(root))
    if set(found["train"]) != set(found["val"]):
        odd = sorted(set(found["train"]) ^ set(found["val"]))
        raise ValueError(
            f"{root}: train and val need images of the same domains; only one of them has {', '.join(odd)}"
        )
    domains = tuple(found["train"])
    if len(domains) < 2:
        raise ValueError(f"{root}: a translation needs at least 2 domains, found {', '.join(domains) or 'none'}")
    return with_factors(root, aligned(_image_set(root, found, _folder_in_split)))


def load_real(root: Path) -> ImageSet:
    """Real images to compare fakes with: ROOT/{train,val}/<domain>/*, or ROOT/<domain>/* without validation images.

    `train` is a domain if images lie in it, and no folders. Raises ValueError as `load`.
    """
    if not root.is_dir() or _is_split(root / "train"):
        return load(root)
    left_out = LeftOut(root)
    found = _domains(root, left_out)
    left_out.warn()
    if not found:
        raise ValueError(
            f"{root}: holds no folders of images; expected {root}/{{train,val}}/<domain>/ or {root}/<domain>/"
        )
    return _image_set(root, {"train": found, "val": dict.fromkeys(found, ())}, _folder)


def _is_split(folder: Path) -> bool:
    if not folder.is_dir():
        return False
    kinds = [kind for _, kind in listing.entries(folder)]
    return listing.FOLDER in kinds or listing.IMAGE not in kinds


def _next_to_splits(root: Path) -> LeftOut:
    """The folders and images that lie where train and val are."""
    left_out = LeftOut(root)
    for path, kind in listing.entries(root):
        if kind == listing.FOLDER and path.name not in SPLITS:
            left_out.add(listing.UNUSED, path)
        elif kind == listing.IMAGE:
            left_out.add(listing.LOOSE, path)
    return left_out


def _domains(folder: Path, left_out: LeftOut, wanted: tuple[str, ...] | None = None) -> Names:
    """The images of each domain; what else lies there is added to `left_out`.

    Raises ValueError for a folder that holds files and no image, or whose name no domain can have.
    """
    domains = {}
    for path, kind in listing.entries(folder):
        if kind != listing.FOLDER:
            left_out.add(listing.LOOSE if kind == listing.IMAGE else kind, path)
        elif wanted is None or path.name in wanted:
            images, others = listing.images(path)
            left_out.update(others)
            if images:
                domains[_checked_domain(path)] = tuple(image.name for image in images)
            elif others:
                raise ValueError(
                    f"{texts.one_line(str(path))}: holds no image ({', '.join(EXTENSIONS)}), but {others}; images lie "
                    "in the domain's folder itself"
                )
            else:
                left_out.add(listing.EMPTY, path)
    return domains


def _checked_domain(path: Path) -> str:
    try:
        return texts.checked_domain(path.name)
    except ValueError as error:
        raise ValueError(f"{texts.one_line(str(path.parent))}: {error}") from None


def _image_set(root: Path, names: dict[Split, Names], folder_of: Callable[[Split, str], Path]) -> ImageSet:
    found = check(root, {folder_of(split, domain): of for split in names for domain, of in names[split].items() if of})
    if any(names["val"].values()):
        _warn_of_duplicates(root, found)
    _warn_of_little_span(root, found)
    whole = hashlib.sha256()
    for folder, files in found.items():
        for name, image in files.items():
            whole.update(f"{folder.as_posix()}/{name}\0{image.sha256}\0".encode("utf-8", "surrogateescape"))
    return ImageSet(names, partial(_read, root, folder_of), whole.hexdigest()[:16])


def _folder_in_split(split: Split, domain: str) -> Path:
    return Path(split, domain)


def _folder(split: Split, domain: str) -> Path:
    return Path(domain)


def _read(root: Path, folder_of: Callable[[Split, str], Path], split: Split, domain: str, name: str) -> Image.Image:
    return read_image(root / folder_of(split, domain) / name)


def _warn_of_duplicates(root: Path, found: Found) -> None:
    trained, both = {}, []
    for folder, files in found.items():  # train before val
        for name, image in files.items():
            if folder.parts[0] == "train":
                trained[image.sha256] = folder / name
            elif image.sha256 in trained:
                both.append((folder / name, trained[image.sha256]))
    if both:
        warnings.warn(
            f"{root}: {len(both)} of the validation images are training images, too, as {both[0][0]} = {both[0][1]}; "
            "a model has seen them, and values flatter it",
            stacklevel=2,
        )


def _warn_of_little_span(root: Path, found: Found) -> None:
    """Warn of domains with images that use little of the range: those of fewer bits than their files, blank ones."""
    domains: dict[str, dict[Path, Checked]] = {}
    for folder, files in found.items():
        domains.setdefault(folder.name, {}).update((folder / name, image) for name, image in files.items())
    for domain, images in domains.items():
        few = {file: image for file, image in images.items() if image.span < _LITTLE_SPAN}
        if len(few) > _MANY * len(images):
            span, largest = max(image.span for image in few.values()), max(image.largest for image in few.values())
            warnings.warn(
                f"{root}: {len(few)} of the {len(images)} images of {domain} use little of the range from 0 to 255 (as "
                f"{next(iter(few))}): at most {span} of it, and the largest value is {largest}. If they hold fewer "
                "bits than their files, as 12 in 16, scale them to the whole range",
                stacklevel=2,
            )
