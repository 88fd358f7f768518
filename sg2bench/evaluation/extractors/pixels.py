"""Pixels as features, for metrics that need no network."""

from __future__ import annotations

from torch import Tensor

from sg2bench.evaluation.extractors.base import Extractor, Features


class Pixels(Extractor):
    """The pixels of images, float32 (N, 3 * H * W). No metric on pixels needs their number, so `dim` is 0."""

    weights_sha256 = ""
    resizes = False
    dim = 0

    def forward(self, images: Tensor) -> Features:
        return Features(images.flatten(1).float())
