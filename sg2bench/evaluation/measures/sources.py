"""The distance between an output and its source."""

from __future__ import annotations

from typing import cast

from sg2bench.evaluation.extractors import AlexNet
from sg2bench.evaluation.measures import lpips
from sg2bench.evaluation.measures.base import Batch, OutputMeasure
from sg2bench.evaluation.uncertainty import Array


class Measure(OutputMeasure):
    """`perceptual`: LPIPS."""

    def each(self, batch: Batch) -> dict[str, Array]:
        outputs, sources = batch.features(self.task).layers, batch.features_of_sources(self.task).layers
        heads = cast(AlexNet, self.task.network).heads
        return {"perceptual": lpips.distance(outputs, sources, heads).cpu().numpy()}
