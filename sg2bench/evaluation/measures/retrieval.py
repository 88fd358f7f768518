"""Retrieval: whether an output's source can be found among all sources."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from sg2bench.evaluation.measures.base import Batch, OutputMeasure, Task, share_of_outputs
from sg2bench.evaluation.uncertainty import Array, Estimate

_BATCH = 32


class Measure(OutputMeasure):
    """`share` of outputs whose nearest source, among all that are translated, is their own or has the same content.
    Nearness is the scalar product of pooled features.
    """

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        assert task.originals is not None
        self._content = task.originals.content()
        translated = task.originals.translated
        parts = (translated[start : start + _BATCH] for start in range(0, len(translated), _BATCH))
        self._sources_seen = torch.cat([task.network(task.originals.sources(part)).pooled for part in parts])

    def each(self, batch: Batch) -> dict[str, Array]:
        likeness = (batch.features(self.task).pooled @ self._sources_seen.T).cpu().numpy()
        own = np.array([self._content[int(source)] for source in batch.sources.repeat(self.task.outputs)])
        alike: NDArray[np.bool_] = own[:, None] == np.array(list(self._content.values()))
        is_nearest = np.where(alike, likeness, -np.inf).max(1) >= likeness.max(1)
        return {"share": is_nearest.astype(np.float64)}

    def estimate(self, each: Array) -> Estimate:
        return share_of_outputs(each, self.references)
