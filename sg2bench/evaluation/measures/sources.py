"""How much of its source an output keeps: whether it can be told from other sources, and its distance to it."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from sg2bench.evaluation.extractors import AlexNet
from sg2bench.evaluation.measures import lpips
from sg2bench.evaluation.measures.base import Batch, OutputMeasure, Task, share_of_outputs
from sg2bench.evaluation.uncertainty import Array, Estimate

_AT_ONCE = 32


class Measure(OutputMeasure):
    """`retrieval`: the share of outputs whose nearest source, of all that are translated, is their own, or one of the
    same content; by the scalar product of pooled features.

    `perceptual`: LPIPS to the source.
    """

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        assert task.originals is not None
        self._content = task.originals.content()
        if not isinstance(task.network, AlexNet):
            translated = task.originals.translated
            parts = (translated[start : start + _AT_ONCE] for start in range(0, len(translated), _AT_ONCE))
            self._sources_seen = torch.cat([task.network(task.originals.sources(part)).pooled for part in parts])

    def each(self, batch: Batch) -> dict[str, Array]:
        outputs = batch.features(self.task)
        if not isinstance(self.task.network, AlexNet):
            likeness = outputs.pooled @ self._sources_seen.T
            return {"retrieval": self._is_nearest(likeness.cpu().numpy(), batch.sources).astype(np.float64)}
        layers = (
            layer.repeat_interleave(self.task.outputs, 0) for layer in batch.features_of_sources(self.task).layers
        )
        distances = lpips.distance(outputs.layers, tuple(layers), self.task.network.heads)
        return {"perceptual": distances.cpu().numpy()}

    def _is_nearest(self, likeness: NDArray[np.float32], sources: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether no source of other content is nearer to an output than those of its own, by likeness (n, sources)."""
        own = np.array([self._content[int(source)] for source in sources.repeat(self.task.outputs)])
        alike = own[:, None] == np.array(list(self._content.values()))
        nearest: NDArray[np.bool_] = np.where(alike, likeness, -np.inf).max(1) >= likeness.max(1)
        return nearest

    def estimate(self, quantity: str, each: Array, references: NDArray[np.int64] | None) -> Estimate:
        if quantity == "retrieval":
            return share_of_outputs(each, references)
        return super().estimate(quantity, each, references)
