"""Feature extractors: pretrained networks that turn images into features, by their names in rows."""

from sg2bench.evaluation.extractors.alexnet import AlexNet, AlexNetEdges, AlexNetLayers
from sg2bench.evaluation.extractors.base import Extractor, Features
from sg2bench.evaluation.extractors.critters_probe import CrittersProbe
from sg2bench.evaluation.extractors.efficientnet import EfficientNetLite0
from sg2bench.evaluation.extractors.inception import InceptionCompat, InceptionTorchvision
from sg2bench.evaluation.extractors.pixels import Pixels
from sg2bench.evaluation.extractors.transformers import ClipViTL14, DINOv2ViTL14

EXTRACTORS: dict[str, type[Extractor]] = {
    "alexnet": AlexNet,
    "alexnet-edges": AlexNetEdges,
    "alexnet-layers": AlexNetLayers,
    "clip-vitl14-336": ClipViTL14,
    "critters-probe": CrittersProbe,
    "dinov2-vitl14": DINOv2ViTL14,
    "efficientnet-lite0": EfficientNetLite0,
    "inception-v3-compat": InceptionCompat,
    "inception-v3-torchvision": InceptionTorchvision,
    "pixels": Pixels,
}

__all__ = ["EXTRACTORS", "AlexNet", "Extractor", "Features"]
