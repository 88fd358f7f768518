"""The two Inception networks (Szegedy et al. 2016) on which published FIDs are measured."""

from __future__ import annotations

import torch
from PIL import Image
from torch import Tensor, nn

from sg2bench import weights
from sg2bench.evaluation.extractors.base import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Extractor,
    Features,
    Normalise,
    pil_resized,
)

_SIDE = 299


class InceptionTorchvision(Extractor):
    """Torchvision's ImageNet Inception v3, pooled, on which the published FID of StarGAN v2 is measured.

    Images are resized by PIL (bilinear) to 299 px, which rounds them to 8 bits, as if they were stored on disk.
    """

    weights_sha256 = weights.INCEPTION_TORCHVISION.sha256
    dim = 2048
    resizes = False

    def __init__(self, resize: None = None) -> None:
        from torchvision.models import inception_v3  # noqa: PLC0415 (takes seconds to import)

        super().__init__(resize)
        self.network = inception_v3(weights=None, init_weights=False)
        self.network.load_state_dict(weights.inception_torchvision(), strict=True)
        self.network.fc = nn.Identity()
        self.normalise = Normalise(IMAGENET_MEAN, IMAGENET_STD)
        self.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # 1.5 times as fast on a CPU

    def prepare(self, images: Tensor) -> Tensor:
        """Resize and normalise: uint8 (N, 3, H, W) -> float32 (N, 3, 299, 299)."""
        normalised: Tensor = self.normalise(pil_resized(images, _SIDE, Image.Resampling.BILINEAR))
        return normalised

    def forward(self, images: Tensor) -> Features:
        return Features(self.network(self.prepare(images)))


class InceptionCompat(Extractor):
    """The Inception of 2015, on which FID is defined, as in torch-fidelity (`inception-v3-compat`)."""

    weights_sha256 = weights.INCEPTION_2015.sha256
    dim = 2048
    resizes = False

    def __init__(self, resize: None = None) -> None:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3  # noqa: PLC0415

        super().__init__(resize)
        path = weights.fetch(weights.INCEPTION_2015)
        weights.state_dict(weights.INCEPTION_2015)  # check first: the library would run code in the file
        self.network = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], feature_extractor_weights_path=path)

    def forward(self, images: Tensor) -> Features:
        return Features(self.network(images)[0])
