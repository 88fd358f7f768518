"""Image sets by split and domain: names, and pixels as 8-bit RGB."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np
import torch
from PIL import Image

if TYPE_CHECKING:
    from sg2bench.data.critters import Factors

Split = Literal["train", "val"]
SPLITS: tuple[Split, Split] = ("train", "val")
Part = TypeVar("Part")
_MEMORY_BYTES = 2**30


class _Memory:
    """Cache of decoded images that stops growing at 1 GiB."""

    def __init__(self) -> None:
        self._images: dict[tuple[Split, str, int], Image.Image] = {}
        self._bytes = 0

    def get(self, key: tuple[Split, str, int], read: Callable[[], Image.Image]) -> Image.Image:
        if key in self._images:
            return self._images[key]
        image = read()
        if (size := image.width * image.height * 3) + self._bytes <= _MEMORY_BYTES:
            self._images[key] = image
            self._bytes += size
        return image


@dataclass(frozen=True)
class ImageSet:
    """Images by split and domain. Domains are sorted by name; a domain's label is its index in that order."""

    names: Mapping[Split, Mapping[str, tuple[str, ...]]]
    read: Callable[[Split, str, str], Image.Image]
    fingerprint: str
    truth: Callable[[str, int, str, int], Image.Image | None] | None = None
    """Return the right image for (source domain, source index, target domain, reference index), both in val, or None if
    the set does not hold it. A set without right images has no such function."""
    content: Callable[[str, int], str] | None = None
    """Return the name of a validation image's content, by domain and index, where several images may share it."""
    factors: Callable[[Split, str, int], Factors] | None = None
    """Return the factors of an image, by split, domain and index, where they are known."""
    _memory: _Memory = field(default_factory=_Memory, repr=False, compare=False)

    @property
    def domains(self) -> tuple[str, ...]:
        return tuple(self.names["train"])

    def count(self, split: Split, domain: str) -> int:
        return len(self.names[split][domain])

    def counts(self) -> list[str]:
        """Return a line for each split with the number of images of each domain."""
        return [
            f"{split}: {', '.join(f'{domain} {self.count(split, domain)}' for domain in self.domains)}"
            for split in SPLITS
        ]

    def image(self, split: Split, domain: str, index: int) -> Image.Image:
        """Return one image, RGB, at its original size."""
        name = self.names[split][domain][index]
        return self._memory.get((split, domain, index), lambda: self.read(split, domain, name))

    def batch(self, split: Split, domain: str, indices: Sequence[int], image_size: int) -> torch.Tensor:
        """Return whole images, resized: uint8 (len(indices), 3, image_size, image_size)."""
        return as_tensor((self.image(split, domain, index) for index in indices), image_size)


def as_tensor(images: Iterable[Image.Image], image_size: int) -> torch.Tensor:
    """Resize images (PIL, bilinear) to a square: uint8 (n, 3, image_size, image_size)."""
    side = (image_size, image_size)
    arrays = [np.asarray(image.resize(side, Image.Resampling.BILINEAR)) for image in images]
    return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).contiguous()


def prefetch(load: Callable[[Part], torch.Tensor], parts: Iterable[Part]) -> Iterator[torch.Tensor]:
    """Yield `load(part)` for each part, in order, while a thread loads the next one."""
    with ThreadPoolExecutor(1) as thread:
        coming: Future[torch.Tensor] | None = None
        for part in parts:
            this, coming = coming, thread.submit(load, part)
            if this is not None:
                yield this.result()
        if coming is not None:
            yield coming.result()


def choose_domains(known: tuple[str, ...], wanted: tuple[str, ...] | None, where: str) -> tuple[str, ...]:
    """Return the `wanted` domains by name, or all. Raises ValueError for an unknown one, or fewer than two."""
    if wanted is None:
        return known
    if missing := sorted(set(wanted) - set(known)):
        raise ValueError(f"data.domains: {where} has no {', '.join(missing)} (it has {', '.join(known) or 'none'})")
    if len(set(wanted)) < 2:
        raise ValueError("data.domains: translation needs at least 2 domains")
    return tuple(sorted(set(wanted)))
