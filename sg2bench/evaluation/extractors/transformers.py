"""The two vision transformers of the protocol `modern`: DINOv2 and CLIP."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from sg2bench import weights
from sg2bench.evaluation.extractors.base import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Extractor,
    Features,
    Normalise,
    bicubic,
    pil_resized,
)

_CLIP_MEAN, _CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
_OFFSET = 0.1
"""Added to the number of patches by DINOv2's own code when it computes the scale of the interpolation."""


class DINOv2ViTL14(Extractor):
    """Class token of DINOv2 ViT-L/14 (Oquab et al. 2023), on which FD-DINOv2 is measured (Stein et al. 2023).

    Images are resized by PIL (bicubic) to 224 px, which rounds them to 8 bits.
    """

    weights_sha256 = weights.DINOV2_VITL14.sha256
    dim = 1024
    resizes = False
    side, patch = 224, 14

    def __init__(self, resize: None = None) -> None:
        super().__init__(resize)
        try:
            from timm import create_model  # noqa: PLC0415 (an extra, and takes seconds to import)
        except ImportError as error:
            raise _not_installed("dinov2-vitl14", error) from None
        with torch.device("meta"):
            self.network = create_model("vit_large_patch14_dinov2", num_classes=0, img_size=self.side)
        state = weights.dinov2()
        state.pop("mask_token", None)
        state["pos_embed"] = positions(state["pos_embed"], self.side // self.patch)
        self.network.load_state_dict(state, strict=True, assign=True)
        self.normalise = Normalise(IMAGENET_MEAN, IMAGENET_STD)
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> Features:
        x = pil_resized(images, self.side, Image.Resampling.BICUBIC)
        return Features(self.network(self.normalise(x)))


class ClipViTL14(Extractor):
    """Image embedding of CLIP ViT-L/14 at 336 px (Radford et al. 2021), scaled to length 1, on which CMMD is measured
    (Jayasumana et al. 2024).

    Images are resized to 336 px, bicubic with antialiasing, neither clamped nor rounded.
    """

    weights_sha256 = weights.CLIP_VITL14_336.sha256
    dim = 768
    resizes = False
    side = 336

    def __init__(self, resize: None = None) -> None:
        super().__init__(resize)
        try:
            from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection  # noqa: PLC0415
        except ImportError as error:
            raise _not_installed("clip-vitl14-336", error) from None
        config = CLIPVisionConfig(
            hidden_size=1024,
            intermediate_size=4096,
            num_hidden_layers=24,
            num_attention_heads=16,
            image_size=self.side,
            patch_size=14,
            projection_dim=self.dim,
        )
        with torch.device("meta"):
            self.network = CLIPVisionModelWithProjection(config)
        self.network.load_state_dict(weights.clip_vision(), strict=True, assign=True)
        embeddings = self.network.vision_model.embeddings
        embeddings.position_ids = torch.arange(embeddings.num_positions)[None]  # not in the file, so still on meta
        self.normalise = Normalise(_CLIP_MEAN, _CLIP_STD)
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> Features:
        x = bicubic(images.float() / 255, self.side, self.side)
        return Features(F.normalize(self.network(self.normalise(x)).image_embeds))


def positions(embeddings: Tensor, patches: int) -> Tensor:
    """Interpolate position embeddings (1, 1 + n², d) to (1, 1 + patches², d) as DINOv2's own code does.

    It is bicubic without antialiasing, and the scale is (patches + 0.1) / n. Neither timm nor transformers has the
    0.1, and timm antialiases, so their features differ.
    """
    token, grid = embeddings[:, :1], embeddings[:, 1:]
    side = round(grid.shape[1] ** 0.5)
    if side == patches:
        return embeddings
    maps = grid.reshape(1, side, side, -1).permute(0, 3, 1, 2)
    maps = F.interpolate(maps, scale_factor=(patches + _OFFSET) / side, mode="bicubic")
    return torch.cat([token, maps.flatten(2).transpose(1, 2)], 1)


def _not_installed(extractor: str, error: ImportError) -> ValueError:
    why = f"{extractor} needs a package that is not installed ({error})"
    return ValueError(f"{why}: in a clone of sg2bench, pip install '.[modern]'")
