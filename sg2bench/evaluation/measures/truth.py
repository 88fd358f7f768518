"""The distance between an output and the one right image, where there is one."""

from __future__ import annotations

import numpy as np
import torch

from sg2bench.evaluation.extractors import AlexNet
from sg2bench.evaluation.measures import lpips
from sg2bench.evaluation.measures.base import Batch, OutputMeasure
from sg2bench.evaluation.uncertainty import Array


class Measure(OutputMeasure):
    """`perceptual`: LPIPS. `l1`: the mean absolute difference of pixels, in 8-bit levels."""

    def each(self, batch: Batch) -> dict[str, Array]:
        truths, known = batch.truths
        each = np.full(len(known), np.nan)
        if not known.any():
            return {"perceptual": each, "l1": each}
        some = torch.from_numpy(known).to(batch.images.device)
        if not isinstance(self.task.network, AlexNet):
            each[known] = (batch.images[some].float() - truths.float()).abs().mean((1, 2, 3)).cpu().numpy()
            return {"l1": each}
        outputs = [layer[some] for layer in batch.features(self.task).layers]
        right = batch.features_of_truths(self.task).layers
        each[known] = lpips.distance(outputs, right, self.task.network.heads).cpu().numpy()
        return {"perceptual": each}
