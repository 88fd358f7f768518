"""Values per ordered pair of domains, per target domain and overall; and the reference lines to read them by."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray

from sg2bench import cache
from sg2bench.config import REFERENCE_LINES, Experiment, stable_hash
from sg2bench.data.images import SPLITS, ImageSet, Split
from sg2bench.evaluation import frechet, lpips
from sg2bench.evaluation.extractors import EXTRACTORS, AlexNet
from sg2bench.evaluation.guidance import Guidance, Mode, Pair, guide, source_count
from sg2bench.evaluation.manifold import Manifold
from sg2bench.evaluation.metrics import Real, measure
from sg2bench.evaluation.protocol import VERSION, WEIGHTS, Protocol
from sg2bench.evaluation.translate import style_codes, to_uint8, translate
from sg2bench.models.networks import Networks

ANY = "*"


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
        self.protocol = Protocol(experiment.evaluate)
        self.image_size = experiment.model.image_size
        self.images = images
        self.device = torch.device(device)
        _enough_images(images, 6 if set(Manifold._fields) & set(self.evaluate.metrics) else 2)
        self.extractors: dict[str, torch.nn.Module] = {
            name: EXTRACTORS[name](self.protocol.resize).to(self.device)
            for name in sorted({self.protocol.extractor(metric) for metric in self.evaluate.metrics})
        }
        self._real: dict[tuple[str, str], Real] = {}

    def model(self, nets: Networks, progress: Callable[[str], None] = lambda _: None) -> list[Value]:
        """Values of a model in every mode; `progress` is told each pair that begins."""
        values = []
        for mode in self.evaluate.modes:
            guidance = guide(self.images, self.evaluate, mode, nets.latent_dim)
            values += self.pairs(nets, mode, guidance, progress)
        return values + means(values)

    def pairs(
        self,
        nets: Networks,
        mode: Mode,
        guidance: Mapping[Pair, Guidance],
        progress: Callable[[str], None] = lambda _: None,
    ) -> list[Value]:
        """Values of a model for each pair that is guided."""
        nets.eval()
        values = []
        for (source, target), given in guidance.items():
            progress(f"{mode} {source} → {target}")
            values += self._pair(nets, mode, source, target, given)
        return values

    def reference_lines(self) -> dict[str, list[Value]]:
        """How to read a Fréchet distance, by line of `REFERENCE_LINES`: on as many validation images as a pair has
        outputs, or on all there are (fewer images raise a Fréchet distance).

        `real`: real validation images of the target (the floor). `sources`: untranslated sources (doing nothing).
        """
        lines: dict[str, list[Value]] = {name: [] for name in REFERENCE_LINES}
        for extractor, metrics in self._feature_metrics().items():
            for source in self.images.domains:
                count = source_count(self.images, self.evaluate, source) * self.evaluate.outputs_per_source
                count = min(count, self.images.count("val", source))
                features = self._features(extractor, "val", source)[:count]
                for target in self.images.domains:
                    real = self.real(extractor, target)
                    line, shown = ("real", ANY) if source == target else ("sources", source)
                    for metric, value in measure(metrics, real, features).items():
                        lines[line].append(Value("none", shown, target, metric, value, real.statistics.count, count))
        return {
            name: values + [mean for mean in means(values) if name != "real" or mean.target == ANY]
            for name, values in lines.items()
        }

    def real(self, extractor: str, domain: str) -> Real:
        """Features of a domain's training images, from the cache of an earlier run where there are any."""
        if (extractor, domain) not in self._real:
            self._real[extractor, domain] = self._cached_real(extractor, domain)
        return self._real[extractor, domain]

    def _cached_real(self, extractor: str, domain: str) -> Real:
        made_by = [VERSION, self.images.fingerprint, domain, self.image_size, self.protocol.resize]
        key = stable_hash([*made_by, WEIGHTS[extractor].sha256])
        path = cache.folder() / "real" / f"{key}.npz"
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                features = stored["features"]
                return Real(features, frechet.Statistics(stored["mean"], stored["factor"], len(features)))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            features = self._features(extractor, "train", domain)
        statistics = frechet.statistics(features)
        with cache.atomic_file(path) as temporary:
            np.savez(temporary, features=features, mean=statistics.mean, factor=statistics.factor)
        return Real(features, statistics)

    def _feature_metrics(self) -> dict[str, list[str]]:
        """The metrics asked for, but LPIPS, by the network whose features they are on."""
        by_extractor: dict[str, list[str]] = {}
        for metric in self.evaluate.metrics:
            if metric != "lpips":
                by_extractor.setdefault(self.protocol.extractor(metric), []).append(metric)
        return by_extractor

    @torch.inference_mode()
    def _features(self, extractor: str, split: Split, domain: str) -> NDArray[np.float32]:
        count, step = self.images.count(split, domain), self.evaluate.batch_size
        pooled = []
        for start in range(0, count, step):
            batch = self.images.batch(split, domain, range(start, min(start + step, count)), self.image_size)
            pooled.append(self.extractors[extractor](batch.to(self.device)).pooled.cpu().numpy())
        return np.concatenate(pooled)

    @torch.inference_mode()
    def _pair(self, nets: Networks, mode: Mode, source: str, target: str, guidance: Guidance) -> list[Value]:
        size, side = self.evaluate.batch_size, self.image_size
        styles = style_codes(nets, self.images, guidance, target, size, side)
        sources, outputs = styles.shape[:2]
        pooled: dict[str, list[NDArray[np.float32]]] = {name: [] for name in self.extractors}
        diversity = []
        for raw in translate(nets, self.images, source, guidance, styles, size, side):
            images = to_uint8(raw)
            for name, network in self.extractors.items():
                is_lpips = "lpips" in self.evaluate.metrics and name == self.protocol.extractor("lpips")
                features = network((raw + 1) * 127.5 if is_lpips and self.protocol.as_published else images)
                pooled[name].append(features.pooled.cpu().numpy())
                if is_lpips:
                    heads = cast(AlexNet, network).heads
                    diversity.append(lpips.diversity(features.layers, heads, outputs).cpu().numpy())
        measured: dict[str, float] = {}
        for extractor, metrics in self._feature_metrics().items():
            measured |= measure(metrics, self.real(extractor, target), np.concatenate(pooled[extractor]))
        if diversity:
            measured["lpips"] = self._mean_over_sources(np.concatenate(diversity))
        n_real = self.images.count("train", target)
        return [
            Value(mode, source, target, metric, measured[metric], n_real, sources * outputs)
            for metric in self.evaluate.metrics
        ]

    def _mean_over_sources(self, each: NDArray[np.float64]) -> float:
        """The mean; as published, the mean of the batches' means, a short last batch counting as much as the others."""
        step = self.evaluate.batch_size if self.protocol.as_published else len(each)
        return float(np.mean([each[start : start + step].mean() for start in range(0, len(each), step)]))


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


def _enough_images(images: ImageSet, needed: int) -> None:
    for domain in images.domains:
        for split in SPLITS:
            if (found := images.count(split, domain)) < needed:
                raise ValueError(f"{split}/{domain} has {found} images; the metrics asked for need at least {needed}")
