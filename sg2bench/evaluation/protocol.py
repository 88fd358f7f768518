"""Protocols: everything a value depends on besides model and data, named and hashed per metric."""

from __future__ import annotations

from dataclasses import dataclass

from sg2bench.catalog import METRICS
from sg2bench.config import Evaluate
from sg2bench.evaluation.extractors import EXTRACTORS
from sg2bench.evaluation.guidance import Part
from sg2bench.hashes import stable_hash

VERSION = 1
"""Increased when a code change alters values."""


@dataclass(frozen=True)
class Protocol:
    """A protocol of evaluation.

    `offline`, the default: LPIPS and Fréchet distances on networks available from the Python package index.
    `standard`: FID on the Inception of 2015 (as in torch-fidelity) and LPIPS, as other papers report them.
    `paper`: the metrics of StarGAN v2's published tables, to the digit, with that code's choices. LPIPS on raw outputs,
    averaged over batches of unequal size; FID on torchvision's Inception; references in full batches, in one order
    shared by all sources of a target.
    `modern`: distances on networks trained without ImageNet's labels, FD-DINOv2 and CMMD. Needs the extra `modern`.

    All but `paper` look at 8-bit images, give every source the same weight and draw references from all of the target's
    validation images.
    """

    evaluate: Evaluate
    image_size: int
    """Side in pixels of real images and outputs, before a network's resize."""
    part: Part = "all"
    """Part of the sources that is translated."""

    @property
    def name(self) -> str:
        return self.evaluate.protocol

    @property
    def title(self) -> str:
        """Name of the protocol in rows: with the part of the sources, if that is not all."""
        return self.name if self.part == "all" else f"{self.name}, {self.part} sources"

    def extractor(self, metric: str) -> str:
        """Return the name of the network of a metric."""
        return METRICS[metric].extractor[self.name]

    def resize(self, extractor: str) -> int | None:
        """Return the side in pixels to resize images to before a network; None for no resize, or the network's own."""
        return self.evaluate.resize if self.name == "offline" and EXTRACTORS[extractor].resizes else None

    def sees_raw_outputs(self, metric: str) -> bool:
        """Return whether a metric sees raw generator outputs, neither clamped nor rounded to 8 bits."""
        return self.name in METRICS[metric].raw

    def hash(self, metric: str) -> str:
        """Return the hash (16 hex digits) of what a metric's values depend on: network, resize, sizes, counts, seed."""
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
