"""EfficientNet-Lite0 (Tan and Le 2019)."""

from __future__ import annotations

from torch import Tensor

from sg2bench import weights
from sg2bench.evaluation.extractors.base import Extractor, Features, resized


class EfficientNetLite0(Extractor):
    """The last feature map, pooled over space."""

    weights_sha256 = weights.EFFICIENTNET_LITE0.sha256
    dim = 1280

    def __init__(self, resize: int | None) -> None:
        from efficientnet_lite_pytorch import EfficientNet  # noqa: PLC0415 (takes a second to import)

        super().__init__(resize)
        self.network = EfficientNet.from_name("efficientnet-lite0")
        self.network.load_state_dict(weights.efficientnet_lite0(), strict=True)
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> Features:
        features = self.network.extract_features((resized(images, self.resize) - 127) / 128)
        return Features(features.mean((2, 3)))
