"""Sources into outputs of a target domain, by latent or by reference guidance."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from sg2bench.data.images import ImageSet, prefetch
from sg2bench.evaluation.guidance import Guidance
from sg2bench.models.networks import Networks


def to_float(images: Tensor) -> Tensor:
    """uint8 -> float32 in [-1, 1]."""
    return images.float().div_(127.5).sub_(1)


def to_uint8(images: Tensor) -> Tensor:
    """Generator output -> uint8 as a PNG would hold it: clamped to [-1, 1], rounded half up."""
    return images.add(1).mul_(0.5).clamp_(0, 1).mul_(255).add_(0.5).to(torch.uint8)


def is_finite(images: Tensor) -> bool:
    """Whether there is neither NaN, which a minimum and a maximum keep, nor infinity."""
    return bool(torch.stack(images.aminmax()).isfinite().all())


def finite(outputs: Tensor) -> Tensor:
    """A generator's output as it is. Raises ValueError if it holds NaN or infinity, which would look like black."""
    if not is_finite(outputs):
        raise ValueError("the model gave NaN or infinity")
    return outputs


def keep_freed_memory() -> None:
    """Have glibc keep memory of up to 64 MiB that is freed, for the next batch.

    Otherwise each batch's page faults cost a fifth of the generator's time on a CPU. The allocator keeps twice the
    largest block freed so far, if that had 32 MiB or less.
    """
    torch.empty(2**25 - 2**14, dtype=torch.uint8)


def images_per_batch(device: torch.device, batch_size: int, image_size: int) -> int:
    """How many images go through a network together.

    On a CPU it does not depend on `batch_size`, and so values do not: another number can round a pixel the other way.
    """
    if device.type != "cpu":
        return batch_size
    return max(1, min(32, 2**19 // image_size**2))


@torch.inference_mode()
def style_codes(
    nets: Networks, images: ImageSet, guidance: Guidance, target: str, batch_size: int, image_size: int
) -> Tensor:
    """What the generator is given for each output of a pair: (sources, outputs, style_dim)."""
    label = images.domains.index(target)
    device = next(nets.parameters()).device
    if guidance.latents is not None:
        count, outputs, _ = guidance.latents.shape
        latents = torch.from_numpy(guidance.latents).flatten(0, 1).to(device)
        return nets.latent_style(latents, _labels(label, len(latents), device)).view(count, outputs, -1)
    assert guidance.references is not None
    count, encoded = images.count("val", target), []
    for start in range(0, count, batch_size):
        indices = range(start, min(start + batch_size, count))
        batch = to_float(images.batch("val", target, indices, image_size).to(device))
        encoded.append(nets.reference_style(batch, _labels(label, len(batch), device)))
    return torch.cat(encoded)[torch.from_numpy(guidance.references).to(device)]


@torch.inference_mode()
def translate(
    nets: Networks, images: ImageSet, source: str, guidance: Guidance, styles: Tensor, batch_size: int, image_size: int
) -> Iterator[Tensor]:
    """Raw outputs of every source in order, (n, 3, S, S) with a source's outputs in a row; a source is encoded once.

    `styles` (sources, outputs, style_dim); at most `batch_size` outputs a time, but at least one source's.
    """
    sources, outputs, _ = styles.shape
    step = max(1, batch_size // outputs)
    parts = (guidance.sources[start : start + step].tolist() for start in range(0, sources, step))
    batches = prefetch(lambda part: images.batch("val", source, part, image_size), parts)
    for batch, codes in zip(batches, torch.split(styles, step), strict=True):
        encoded = nets.encode(to_float(batch.to(styles.device)))
        yield nets.decode(encoded.repeat_interleave(outputs), codes.flatten(0, 1))


def _labels(label: int, count: int, device: torch.device) -> Tensor:
    return torch.full((count,), label, device=device)
