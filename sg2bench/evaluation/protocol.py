"""A protocol: everything that a value depends on besides the model and the data, named and hashed."""

from __future__ import annotations

from dataclasses import dataclass

from sg2bench import weights
from sg2bench.config import Evaluate, stable_hash

EXTRACTOR = {"fd_alexnet": "alexnet", "lpips": "alexnet", "fd_efflite0": "efficientnet-lite0"}
WEIGHTS = {"alexnet": weights.ALEXNET_LPIPS, "efficientnet-lite0": weights.EFFICIENTNET_LITE0}
VERSION = 1
"""Rises when a change of the code changes values."""


@dataclass(frozen=True)
class Protocol:
    """`offline`: LPIPS and Fréchet distances on networks that the Python index carries, from 8-bit images."""

    evaluate: Evaluate

    @property
    def name(self) -> str:
        return self.evaluate.protocol

    @property
    def hash(self) -> str:
        """Hash of networks, weights, resize, normalisation and counts; not of which metrics or modes were asked for."""
        return stable_hash(
            {
                "version": VERSION,
                "name": self.name,
                "images": "8-bit RGB",
                "resize": [self.evaluate.resize, "bicubic antialias, clamped"],
                "sources": self.evaluate.sources,
                "outputs_per_source": self.evaluate.outputs_per_source,
                "seed": self.evaluate.seed,
                "weights": {name: file.sha256 for name, file in WEIGHTS.items()},
            }
        )
