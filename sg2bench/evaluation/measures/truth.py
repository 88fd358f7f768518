"""The distance between an output and its right image, where there is one."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch

from sg2bench.evaluation.extractors import AlexNet
from sg2bench.evaluation.measures import lpips
from sg2bench.evaluation.measures.base import Batch, OutputMeasure
from sg2bench.evaluation.uncertainty import Array


class Measure(OutputMeasure):
    """`perceptual`: LPIPS, for networks with layers. `l1`: the mean absolute difference of pooled features, in 8-bit
    levels for pixels.
    """

    def each(self, batch: Batch) -> dict[str, Array]:
        _, known = batch.truths
        outputs = batch.features(self.task)
        quantity, each = "perceptual" if outputs.layers else "l1", np.full(len(known), np.nan)
        if known.any():
            some, right = torch.from_numpy(known).to(outputs.pooled.device), batch.features_of_truths(self.task)
            if outputs.layers:
                of_known = [layer[some] for layer in outputs.layers]
                distances = lpips.distance(of_known, right.layers, cast(AlexNet, self.task.network).heads)
            else:
                distances = (outputs.pooled[some] - right.pooled).abs().mean(1)
            each[known] = distances.cpu().numpy()
        return {quantity: each}
