"""Which metrics an image set allows."""

from __future__ import annotations

from collections.abc import Collection

from sg2bench.catalog import METRICS, Need, default_metrics
from sg2bench.config import Evaluate
from sg2bench.data.images import ImageSet

_MEANING: dict[Need, str] = {
    "domains": "real images of two or more domains",
    "held_out": "validation images of every domain",
    "outputs": "two or more outputs per source",
    "sources": "the validation images that were translated",
    "references": "the reference of each output",
    "truth": "images whose right translation is known (docs/own-data.md)",
    "factors": "images with known factors: critters, or a folder of them with its factors.csv",
}


def with_metrics(evaluate: Evaluate, images: ImageSet, lacking: Collection[Need] = ()) -> Evaluate:
    """Return the configuration with explicit metrics: the requested ones, or the default ones that the images allow.

    `lacking` are needs that count as missing whatever the images offer, such as the references of fakes. Raises
    ValueError for a requested metric with a missing need.
    """
    if evaluate.metrics:
        for metric in evaluate.metrics:
            if missing := _missing(metric, images, lacking):
                raise ValueError(f"{metric} needs {_MEANING[missing]}; leave it out with evaluate.metrics")
        return evaluate
    usual = default_metrics(evaluate.protocol)
    able = [metric for metric in usual if evaluate.measures(metric) and not _missing(metric, images, lacking)]
    return Evaluate.model_validate(evaluate.model_dump() | {"metrics": able})


def _missing(metric: str, images: ImageSet, lacking: Collection[Need]) -> Need | None:
    """Return the first need of a metric that is missing, or None."""
    absent: set[Need] = set(lacking)
    if not all(images.names["val"].get(domain) for domain in images.domains):
        absent |= {"held_out", "sources", "references"}
    if len(images.domains) < 2:
        absent.add("domains")
    if images.truth is None:
        absent.add("truth")
    if images.factors is None:
        absent.add("factors")
    return next((need for need in _MEANING if need in absent & METRICS[metric].needs), None)
