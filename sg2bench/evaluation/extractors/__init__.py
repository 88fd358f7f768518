"""Pretrained networks that turn images into features, by the name that rows carry."""

from sg2bench.evaluation.extractors.alexnet import AlexNet
from sg2bench.evaluation.extractors.base import Extractor, Features
from sg2bench.evaluation.extractors.efficientnet import EfficientNetLite0
from sg2bench.evaluation.extractors.inception import InceptionCompat, InceptionTorchvision

EXTRACTORS: dict[str, type[Extractor]] = {
    "alexnet": AlexNet,
    "efficientnet-lite0": EfficientNetLite0,
    "inception-v3-compat": InceptionCompat,
    "inception-v3-torchvision": InceptionTorchvision,
}

__all__ = ["EXTRACTORS", "AlexNet", "Extractor", "Features"]
