"""Translation of sources into outputs of a target domain, by latent or reference guidance."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from sg2bench.data.images import ImageSet, prefetch
from sg2bench.evaluation.guidance import Guidance
from sg2bench.models.networks import Networks


def to_float(images: Tensor) -> Tensor:
    """Convert uint8 to float32 in [-1, 1]."""
    return images.float().div_(127.5).sub_(1)


def to_uint8(images: Tensor) -> Tensor:
    """Convert generator outputs to uint8 as a PNG would hold them: clamped to [-1, 1], rounded half up."""
    return images.add(1).mul_(0.5).clamp_(0, 1).mul_(255).add_(0.5).to(torch.uint8)


def is_finite(images: Tensor) -> bool:
    """Return whether all values are finite. Minimum and maximum suffice, as they propagate NaN."""
    return bool(torch.stack(images.aminmax()).isfinite().all())


def finite(outputs: Tensor) -> Tensor:
    """Return a generator's outputs. Raises ValueError if they hold NaN or infinity, which would look black."""
    if not is_finite(outputs):
        raise ValueError("the model's outputs hold NaN or infinity")
    return outputs


def keep_freed_memory() -> None:
    """Make glibc keep up to 64 MiB of freed memory for the next batch.

    Otherwise the page faults of each batch cost a fifth of the generator's time on a CPU. The allocator keeps twice the
    size of the largest block freed so far, if that was 32 MiB or less.
    """
    torch.empty(2**25 - 2**14, dtype=torch.uint8)


def images_per_batch(device: torch.device, batch_size: int, image_size: int) -> int:
    """Return how many images go through a network at once.

    On a CPU it does not depend on `batch_size`, so that values do not either: another batch size may round a pixel
    differently.
    """
    if device.type != "cpu":
        return batch_size
    return max(1, min(32, 2**19 // image_size**2))


@torch.inference_mode()
def style_codes(
    nets: Networks, images: ImageSet, guidance: Guidance, target: str, batch_size: int, image_size: int
) -> Tensor:
    """Return the generator's style input for each output of a pair: (sources, outputs, style_dim)."""
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
    """Yield the raw outputs of all sources in order, (n, 3, S, S), a source's outputs in a row; encode a source once.

    `styles` (sources, outputs, style_dim). Yields at most `batch_size` outputs at once, but at least one source's.
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
