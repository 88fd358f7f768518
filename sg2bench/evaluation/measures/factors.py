"""Pose and colours of outputs, read by a probe, compared with the factors of source and reference."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from sg2bench.data.critters import FACTORS
from sg2bench.evaluation.measures.base import FAKE, REAL, Batch, OutputMeasure, Pooled, Task
from sg2bench.evaluation.uncertainty import Array, Estimate

_POSITION, _RADIUS, _ANGLE = [FACTORS.index("x"), FACTORS.index("y")], FACTORS.index("radius"), FACTORS.index("angle")
STYLE = {
    part: [index for index, factor in enumerate(FACTORS) if factor.startswith(part)]
    for part in ("fur", "eyes", "background", "stripes")
}
"""Columns of the factors of style, by part; all parts have equal weight."""


def content_errors(read: Array, sources: Array, image_size: int) -> dict[str, Array]:
    """Return errors (n,) of factors read (n, 14) against the sources': in pixels, degrees and per cent."""
    shift = (read - sources)[:, _POSITION] * image_size
    return {
        "position": np.hypot(shift[:, 0], shift[:, 1]),
        "angle": np.abs(read - sources)[:, _ANGLE],
        "size": 100 * np.abs(read[:, _RADIUS] / sources[:, _RADIUS] - 1),
    }


def style_errors(read: Array, references: Array) -> dict[str, Array]:
    """Return errors (n,) of factors read (n, 14) against the references': in 8-bit levels and number of stripes."""
    off = {part: np.abs(read - references)[:, columns].mean(1) for part, columns in STYLE.items()}
    colours = [off[part] for part in ("fur", "eyes", "background")]
    return off | {"colour": np.mean(colours, 0)}


def spread(read: Array, real: Array) -> tuple[float, Array, Array]:
    """Return the spread of style among a source's outputs over that among real images, with influences.

    For each part of the style, take the ratio of two variances: that within the outputs of a source, from factors read
    (sources, outputs, 14), over that among real images (m, 14). The value is the root of the mean ratio. Influences are
    those of sources and of real images.
    """
    of_source, of_real = np.zeros(len(read)), np.zeros(len(real))
    for columns in STYLE.values():
        squares = np.square(real[:, columns] - real[:, columns].mean(0)).sum(1) * len(real) / (len(real) - 1)
        within = read[:, :, columns].var(1, ddof=1).sum(1) / squares.mean()
        of_source += within / len(STYLE)
        of_real -= within.mean() * (squares / squares.mean() - 1) / len(STYLE)
    value = float(np.sqrt(of_source.mean()))
    scale = 2 * max(value, 1e-12)
    return value, (of_source - of_source.mean()) / len(read) / scale, of_real / len(real) / scale


def leak(read: Array, sources: Array) -> tuple[float, Array]:
    """Return how much of the sources' style (n, 14) leaks into the outputs' (n, 14), with the influence of each source.

    The value is the slope of a regression of outputs on sources, averaged over the parts of the style in which sources
    differ: 1 if the style stays the same, 0 if it does not depend on the source.
    """
    slopes, influences = [], []
    for columns in STYLE.values():
        of_source = sources[:, columns] - sources[:, columns].mean(0)
        together = ((read[:, columns] - read[:, columns].mean(0)) * of_source).sum(1)
        alone = np.square(of_source).sum(1)
        if alone.any():
            slopes.append(together.sum() / alone.sum())
            influences.append((together - slopes[-1] * alone) / alone.sum())
    if not slopes:
        return 0.0, np.zeros(len(read))
    return float(np.mean(slopes)), np.mean(influences, 0)


class Measure(OutputMeasure):
    """Errors of content (against sources) and style (against references), `spread` and `leak`."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self._read: list[Pooled] = []

    def each(self, batch: Batch) -> dict[str, Array]:
        originals, outputs = batch.originals, self.task.outputs
        assert originals is not None
        read = batch.pooled(self.task).astype(np.float64)
        self._read.append(batch.pooled(self.task))
        sources = originals.factors(originals.source, batch.sources).repeat(outputs, 0)
        errors = content_errors(read, sources, originals.image_size)
        if batch.references is not None:
            errors |= style_errors(read, originals.factors(originals.target, batch.references.ravel()))
        return errors

    def estimates(self, quantities: Collection[str]) -> dict[str, Estimate]:
        found = super().estimates(quantities)
        read = self.by_source(self._read).astype(np.float64)
        if "spread" in quantities:
            found["spread"] = self._spread(read)
        if "leak" in quantities:
            found["leak"] = self._leak(read, np.concatenate(self._sources)[self.order])
        return found

    def _spread(self, read: Array) -> Estimate:
        assert self.task.real is not None
        value, of_source, of_real = spread(read, self.task.real.features.astype(np.float64))
        return Estimate(value, {FAKE: of_source, REAL: of_real}, bounds=(0.0, np.inf))

    def _leak(self, read: Array, sources: NDArray[np.int64]) -> Estimate:
        originals = self.task.originals
        assert originals is not None
        value, influence = leak(read.mean(1), originals.factors(originals.source, sources))
        return Estimate(value, {FAKE: influence})
