"""A protocol: everything that a value depends on besides the model and the data, named and hashed per value."""

from __future__ import annotations

from dataclasses import dataclass

from sg2bench.catalog import METRICS
from sg2bench.config import Evaluate
from sg2bench.evaluation.extractors import EXTRACTORS
from sg2bench.evaluation.guidance import Part
from sg2bench.hashes import stable_hash

VERSION = 1
"""Rises when a change of the code changes values."""


@dataclass(frozen=True)
class Protocol:
    """`offline`, the default: LPIPS and Fréchet distances on networks that the Python index carries.

    `standard`: FID on the Inception of 2015, as torch-fidelity has it, and LPIPS, as other papers report them.
    `paper`: what the published tables of StarGAN v2 report, to the digit, with its choices: LPIPS on raw outputs,
    averaged over batches of unequal size; FID on torchvision's Inception; references in full batches, one order
    running through all sources of a target. The other two look at 8-bit images, give every source the same weight and
    use every reference.
    """

    evaluate: Evaluate
    image_size: int
    """Side in pixels of the images, real ones and outputs, before a network's own resize."""
    part: Part = "all"
    """Of the sources."""

    @property
    def name(self) -> str:
        return self.evaluate.protocol

    @property
    def title(self) -> str:
        """The name, and the part of the sources if that is not all: what rows call it."""
        return self.name if self.part == "all" else f"{self.name}, {self.part} sources"

    def extractor(self, metric: str) -> str:
        """Name of the network that a metric needs."""
        return METRICS[metric].extractor[self.name]

    def resize(self, extractor: str) -> int | None:
        """Side in pixels to which images are resized before a network; None for their own size, or the network's."""
        return self.evaluate.resize if self.name == "offline" and EXTRACTORS[extractor].resizes else None

    def sees_raw_outputs(self, metric: str) -> bool:
        """Whether a metric sees what the generator gave, neither clamped nor rounded to 8 bits."""
        return self.name in METRICS[metric].raw

    def hash(self, metric: str) -> str:
        """Hash (16 hex digits) of what a metric's values depend on: network, weights, resize, sizes, counts, seed."""
        evaluate, extractor = self.evaluate, self.extractor(metric)
        content = {
            "version": VERSION,
            "name": self.name,
            "extractor": extractor,
            "weights": EXTRACTORS[extractor].weights_sha256,
            "images": "raw" if self.sees_raw_outputs(metric) else "8-bit RGB",
            "image_size": self.image_size,
            "sources": evaluate.sources,
            "outputs_per_source": evaluate.outputs_per_source,
            "seed": evaluate.seed,
        }
        if (resize := self.resize(extractor)) is not None:
            content["resize"] = [resize, "bicubic antialias, clamped"]
        if self.part != "all":
            content["part"] = self.part
        if evaluate.as_published:
            content["batch_size"] = evaluate.batch_size
        return stable_hash(content)
