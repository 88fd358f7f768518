"""Right images of translations, looked up by file name."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from PIL import Image

from sg2bench import texts
from sg2bench.data.images import ImageSet, Split

Parts = tuple[str, str]
"""Content and style of an image."""


def content_and_style(name: str) -> Parts | None:
    """Return the parts of `<content>__<style>.png`, split at the last `__`; None for other names."""
    content, _, style = Path(name).stem.rpartition("__")
    return (content, style) if content and style else None


def content_alone(name: str) -> Parts:
    """Return the parts of `<content>.png`, where all images of a domain have one style."""
    return Path(name).stem, ""


def aligned(images: ImageSet, parts: Callable[[str], Parts | None] = content_and_style) -> ImageSet:
    """Add right images to a set: the target domain's image with the source's content and the reference's style.

    A validation image is preferred to a training image. A set without any such names is returned unchanged. Raises
    ValueError if two images of a domain and split have the same content and style.
    """
    found = {domain: [parts(name) for name in names] for domain, names in images.names["val"].items()}
    if not any(any(of_domain) for of_domain in found.values()):
        return images
    for domain, of_domain in found.items():
        contents = {each[0] if each else "" for each in of_domain}
        if len(of_domain) > 1 and len(contents) == 1 and contents != {""}:
            warnings.warn(
                f"val/{domain}: all images have the content `{texts.one_line(*contents)}` by their names "
                "(<content>__<style>), so no right images are known; rename them if there are some",
                stacklevel=2,
            )
            return images
    places: dict[str, dict[Parts, tuple[Split, int]]] = {domain: {} for domain in images.domains}
    splits: tuple[Split, Split] = ("val", "train")
    for split in splits:
        for domain, names in images.names[split].items():
            for index, name in enumerate(names):
                if part := parts(name):
                    first = places[domain].setdefault(part, (split, index))
                    if first[0] == split and first[1] != index:
                        both = f"{names[first[1]]} and {name}"
                        raise ValueError(f"{split}/{domain}: {both} differ only in their extensions; rename one")
    content = partial(_content, images, parts)
    return replace(images, truth=partial(_look_up, images, parts, places), content=content)


def _content(images: ImageSet, parts: Callable[[str], Parts | None], domain: str, index: int) -> str:
    name = images.names["val"][domain][index]
    found = parts(name)
    return found[0] if found else name


def _look_up(
    images: ImageSet,
    parts: Callable[[str], Parts | None],
    places: Mapping[str, Mapping[Parts, tuple[Split, int]]],
    source_domain: str,
    source_index: int,
    target_domain: str,
    reference_index: int,
) -> Image.Image | None:
    source = parts(images.names["val"][source_domain][source_index])
    reference = parts(images.names["val"][target_domain][reference_index])
    if source is None or reference is None:
        return None
    place = places[target_domain].get((source[0], reference[1]))
    return images.image(place[0], target_domain, place[1]) if place else None
