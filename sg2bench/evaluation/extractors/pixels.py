"""The pixels themselves, for metrics that need no network."""

from __future__ import annotations

from torch import Tensor

from sg2bench.evaluation.extractors.base import Extractor, Features


class Pixels(Extractor):
    """Images as they are, float32 (N, 3 * H * W); how many numbers that is (`dim`), no metric on pixels asks."""

    weights_sha256 = ""
    resizes = False
    dim = 0

    def forward(self, images: Tensor) -> Features:
        return Features(images.flatten(1).float())
