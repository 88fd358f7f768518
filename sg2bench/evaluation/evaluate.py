"""Values per ordered pair of domains, per target domain and overall; and the reference lines to read them by."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sg2bench import cache
from sg2bench.config import REFERENCE_LINES, Experiment, stable_hash
from sg2bench.data.images import ImageSet, Split
from sg2bench.evaluation import frechet, lpips
from sg2bench.evaluation.extractors import AlexNet, EfficientNetLite0
from sg2bench.evaluation.protocol import EXTRACTOR, VERSION, WEIGHTS
from sg2bench.evaluation.translate import Mode, source_count, style_codes, translate
from sg2bench.models.networks import Networks

ANY = "*"
EXTRACTORS = {"alexnet": AlexNet, "efficientnet-lite0": EfficientNetLite0}


@dataclass(frozen=True)
class Value:
    """One measured number. `source` or `target` is `*` for a mean over them; counts are those of one pair."""

    mode: str
    source: str
    target: str
    metric: str
    value: float
    n_real: int
    n_fake: int


class Evaluator:
    """Measures models on one image set under one protocol; real statistics are computed once and cached on disk."""

    def __init__(self, experiment: Experiment, images: ImageSet, device: torch.device | str = "cpu") -> None:
        self.evaluate = experiment.evaluate
        self.image_size = experiment.model.image_size
        self.images = images
        self.device = torch.device(device)
        _enough_images(images, self.evaluate.metrics)
        self.extractors = {
            name: EXTRACTORS[name](self.evaluate.resize).to(self.device)
            for name in sorted({EXTRACTOR[metric] for metric in self.evaluate.metrics})
        }

    def model(self, nets: Networks, progress: Callable[[str], None] = lambda _: None) -> list[Value]:
        """Values of a model in every mode; `progress` is told each pair that begins."""
        nets.eval()
        values = []
        for mode in self.evaluate.modes:
            for target in self.images.domains:
                for source in self.images.domains:
                    if source != target:
                        progress(f"{mode} {source} → {target}")
                        values += self._pair(nets, mode, source, target)
        return values + means(values)

    def reference_lines(self) -> dict[str, list[Value]]:
        """How to read a Fréchet distance, by line of `REFERENCE_LINES`: on as many validation images as a pair has
        outputs, or on all there are (fewer images raise a Fréchet distance).

        `real`: real validation images of the target (the floor). `sources`: untranslated sources (doing nothing).
        """
        lines: dict[str, list[Value]] = {name: [] for name in REFERENCE_LINES}
        for name in self._frechet_metrics():
            for source in self.images.domains:
                count = source_count(self.images, self.evaluate, source) * self.evaluate.outputs_per_source
                count = min(count, self.images.count("val", source))
                features = self._real_features(EXTRACTOR[name], "val", source)[:count]
                for target in self.images.domains:
                    real = self.real_statistics(EXTRACTOR[name], target)
                    line, shown = ("real", ANY) if source == target else ("sources", source)
                    distance = frechet.distance(real, features)
                    lines[line].append(Value("none", shown, target, name, distance, real.count, count))
        return {
            name: values + [mean for mean in means(values) if name != "real" or mean.target == ANY]
            for name, values in lines.items()
        }

    def real_statistics(self, extractor: str, domain: str) -> frechet.Statistics:
        """Statistics of a domain's training images, from the cache of an earlier run where there are any."""
        key = stable_hash(
            [VERSION, self.images.fingerprint, domain, self.image_size, self.evaluate.resize, WEIGHTS[extractor].sha256]
        )
        path = cache.folder() / "real" / f"{key}.npz"
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                return frechet.Statistics(stored["mean"], stored["covariance"], int(stored["count"]))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            statistics = frechet.statistics(self._real_features(extractor, "train", domain))
        with cache.atomic_file(path) as temporary:
            np.savez(temporary, mean=statistics.mean, covariance=statistics.covariance, count=statistics.count)
        return statistics

    def _frechet_metrics(self) -> list[str]:
        return [metric for metric in self.evaluate.metrics if metric.startswith("fd_")]

    def _real_features(self, extractor: str, split: Split, domain: str) -> NDArray[np.float32]:
        count, step = self.images.count(split, domain), self.evaluate.batch_size
        batches = (range(start, min(start + step, count)) for start in range(0, count, step))
        images = (self.images.batch(split, domain, indices, self.image_size) for indices in batches)
        return self._features(extractor, images)[0]

    @torch.inference_mode()
    def _features(
        self, extractor: str, batches: Iterable[Tensor], outputs: int | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Pooled features (n, dim) of all images, and each source's LPIPS where `outputs` says how many it has."""
        pooled, diversity = [], []
        network = self.extractors[extractor]
        for batch in batches:
            features = network(batch.to(self.device))
            pooled.append(features.pooled.cpu().numpy())
            if outputs is not None:
                diversity.append(lpips.diversity(features.layers, cast(AlexNet, network).heads, outputs).cpu().numpy())
        return np.concatenate(pooled), np.concatenate(diversity or [np.empty(0)])

    def _pair(self, nets: Networks, mode: Mode, source: str, target: str) -> list[Value]:
        styles = style_codes(nets, self.images, self.evaluate, mode, source, target, self.image_size)
        outputs = styles.shape[1]
        batches = list(translate(nets, self.images, source, styles, self.evaluate.batch_size, self.image_size))
        measured: dict[str, float] = {}
        for extractor in self.extractors:
            wants_lpips = "lpips" in self.evaluate.metrics and EXTRACTOR["lpips"] == extractor
            pooled, diversity = self._features(extractor, batches, outputs if wants_lpips else None)
            for metric in self._frechet_metrics():
                if EXTRACTOR[metric] == extractor:
                    measured[metric] = frechet.distance(self.real_statistics(extractor, target), pooled)
            if wants_lpips:
                measured["lpips"] = float(diversity.mean())
        n_real, n_fake = self.images.count("train", target), styles.shape[0] * outputs
        return [
            Value(mode, source, target, metric, measured[metric], n_real, n_fake) for metric in self.evaluate.metrics
        ]


def means(values: Sequence[Value]) -> list[Value]:
    """Per mode and metric: each target's mean over its sources, and the mean over all pairs."""
    groups: dict[Value, list[float]] = {}
    for value in values:
        for target in (value.target, ANY):
            key = replace(value, source=ANY, target=target, value=0.0, n_real=0, n_fake=0)
            groups.setdefault(key, []).append(value.value)
    counts = {(v.mode, v.metric, target): (v.n_real, v.n_fake) for v in reversed(values) for target in (v.target, ANY)}
    return [
        replace(key, value=float(np.mean(numbers)), n_real=n_real, n_fake=n_fake)
        for key, numbers in groups.items()
        for n_real, n_fake in [counts[key.mode, key.metric, key.target]]
    ]


def _enough_images(images: ImageSet, metrics: Sequence[str]) -> None:
    for domain in images.domains:
        for split, needed in (("train", 2), ("val", 2)):
            found = images.count(cast(Split, split), domain)
            if any(metric.startswith("fd_") for metric in metrics) and found < needed:
                raise ValueError(f"{split}/{domain} has {found} image; a Fréchet distance needs at least {needed}")
