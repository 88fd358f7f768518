"""Image sets in the user's folders."""

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
"""Images that span less are suspicious: 12-bit pixels in a 16-bit file span 15 of 255 values, 14-bit pixels 63."""
_MANY = 0.1
"""Share of a domain's images above which a warning is due."""

Names = dict[str, tuple[str, ...]]
"""File names by domain, both sorted."""


def load(root: Path, wanted: tuple[str, ...] | None = None) -> ImageSet:
    """Load the set ROOT/{train,val}/<domain>/*, only the `wanted` domains if given; every file is opened and checked.

    Warns about files that are left out and about suspicious images. Raises ValueError that names the folder or file
    and says what to do.
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
            f"{root}: train and val need images of the same domains, but only one of them has {', '.join(odd)}"
        )
    domains = tuple(found["train"])
    if len(domains) < 2:
        raise ValueError(f"{root}: translation needs at least 2 domains, found {', '.join(domains) or 'none'}")
    return with_factors(root, aligned(_image_set(root, found, _folder_in_split)))


def load_real(root: Path) -> ImageSet:
    """Load real images to compare with: ROOT/{train,val}/<domain>/*, or ROOT/<domain>/* without validation images.

    A folder `train` with images but no folders in it is a domain. Raises ValueError like `load`.
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
    """Return the other folders and the images next to train and val."""
    left_out = LeftOut(root)
    for path, kind in listing.entries(root):
        if kind == listing.FOLDER and path.name not in SPLITS:
            left_out.add(listing.UNUSED, path)
        elif kind == listing.IMAGE:
            left_out.add(listing.LOOSE, path)
    return left_out


def _domains(folder: Path, left_out: LeftOut, wanted: tuple[str, ...] | None = None) -> Names:
    """Return the images of each domain and add everything else to `left_out`.

    Raises ValueError for a folder that holds files but no image, or whose name is not valid for a domain.
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
                    f"{texts.one_line(str(path))}: holds no image ({', '.join(EXTENSIONS)}), but {others}; put images "
                    "directly into the domain's folder"
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
            f"{root}: {len(both)} of the validation images are also training images (e.g. {both[0][0]} = "
            f"{both[0][1]}); a model has seen them, so its values are too good",
            stacklevel=2,
        )


def _warn_of_little_span(root: Path, found: Found) -> None:
    """Warn of domains whose images use little of the range: blank images, or fewer bits than their files have."""
    domains: dict[str, dict[Path, Checked]] = {}
    for folder, files in found.items():
        domains.setdefault(folder.name, {}).update((folder / name, image) for name, image in files.items())
    for domain, images in domains.items():
        few = {file: image for file, image in images.items() if image.span < _LITTLE_SPAN}
        if len(few) > _MANY * len(images):
            span, largest = max(image.span for image in few.values()), max(image.largest for image in few.values())
            warnings.warn(
                f"{root}: {len(few)} of the {len(images)} images of {domain} use little of the range from 0 to 255 "
                f"(e.g. {next(iter(few))}): they span at most {span} levels, and the largest value is {largest}. If "
                "they hold fewer bits than their files (12 in 16), scale them to the whole range",
                stacklevel=2,
            )
