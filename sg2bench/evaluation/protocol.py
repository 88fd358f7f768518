"""A protocol: everything that a value depends on besides the model and the data, named and hashed."""

from __future__ import annotations

from dataclasses import dataclass

from sg2bench import weights
from sg2bench.config import METRICS, Evaluate, stable_hash

WEIGHTS = {
    "alexnet": weights.ALEXNET_LPIPS,
    "efficientnet-lite0": weights.EFFICIENTNET_LITE0,
    "inception-v3-compat": weights.INCEPTION_2015,
    "inception-v3-torchvision": weights.INCEPTION_TORCHVISION,
}
_EXTRACTOR = {"offline": "alexnet", "standard": "inception-v3-compat", "paper": "inception-v3-torchvision"}
"""The network of a protocol's feature metrics; LPIPS has AlexNet everywhere."""
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

    @property
    def name(self) -> str:
        return self.evaluate.protocol

    @property
    def resize(self) -> int | None:
        """Side in pixels to which images are resized before AlexNet and EfficientNet; None for their own size."""
        return self.evaluate.resize if self.name == "offline" else None

    def extractor(self, metric: str) -> str:
        """Name of the network that a metric needs."""
        if metric == "fd_efflite0":
            return "efficientnet-lite0"
        return "alexnet" if metric == "lpips" else _EXTRACTOR[self.name]

    @property
    def hash(self) -> str:
        """Hash of networks, weights, sizes, normalisation and counts; not of which metrics or modes were asked for."""
        evaluate = self.evaluate
        networks = sorted({self.extractor(metric) for metric in METRICS[self.name]})
        content = {
            "version": VERSION,
            "name": self.name,
            "images": "8-bit RGB",
            "image_size": self.image_size,
            "sources": evaluate.sources,
            "outputs_per_source": evaluate.outputs_per_source,
            "seed": evaluate.seed,
            "weights": {network: WEIGHTS[network].sha256 for network in networks},
        }
        if self.resize is not None:
            content["resize"] = [self.resize, "bicubic antialias, clamped"]
        if self.evaluate.as_published:
            content["batch_size"] = evaluate.batch_size
        return stable_hash(content)
