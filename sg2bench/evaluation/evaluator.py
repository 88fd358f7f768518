"""Values per ordered pair of domains, per target domain and overall; and the reference lines to read them by."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sg2bench.catalog import METRICS, REFERENCE_LINES
from sg2bench.config import Evaluate
from sg2bench.data.images import ImageSet, Split, prefetch
from sg2bench.devices import true_float32
from sg2bench.evaluation import feature_cache
from sg2bench.evaluation.extractors import EXTRACTORS
from sg2bench.evaluation.guidance import Guidance, Mode, Pair, guide, source_count
from sg2bench.evaluation.measures.base import (
    FAKE,
    REAL,
    REFERENCE,
    Batch,
    FeatureMeasure,
    Pooled,
    Real,
    Task,
    measure,
    shortage,
)
from sg2bench.evaluation.outputs import images_per_batch, style_codes, translate
from sg2bench.evaluation.protocol import VERSION, Protocol
from sg2bench.evaluation.uncertainty import Estimate
from sg2bench.evaluation.values import ANY, Value, means
from sg2bench.files import cache_folder
from sg2bench.hashes import stable_hash
from sg2bench.models.networks import Networks

Progress = Callable[[str], None]
_Group = tuple[str, str, bool]
"""Measure, extractor, and whether that sees raw outputs: metrics that share these are computed together."""


class Evaluator:
    """Measures models on one image set under one protocol; features of real images are cached on disk.

    Raises ValueError if there are too few images for the metrics asked for.
    """

    def __init__(
        self, evaluate: Evaluate, images: ImageSet, image_size: int, device: torch.device | str = "cpu"
    ) -> None:
        self.evaluate = evaluate
        self.protocol = Protocol(evaluate, image_size)
        self.image_size = image_size
        self.images = images
        self.device = torch.device(device)
        self.images_per_batch = images_per_batch(self.device, evaluate.batch_size, image_size)
        self._groups: dict[_Group, dict[str, str]] = {}  # metrics by quantity
        for metric in evaluate.metrics:
            entry, extractor = METRICS[metric], self.protocol.extractor(metric)
            group = entry.measure, extractor, self.protocol.sees_raw_outputs(metric)
            self._groups.setdefault(group, {})[entry.quantity] = metric
            least = EXTRACTORS[extractor].least_side
            if self.protocol.resize(extractor) is None and image_size < least:
                raise ValueError(
                    f"{metric} needs images of {least} px or more under protocol {self.protocol.name}, these have "
                    f"{image_size}; make them larger, or leave it out with evaluate.metrics"
                )
        self.extractors = {
            name: EXTRACTORS[name](self.protocol.resize(name)).to(self.device)
            for name in sorted({extractor for _, extractor, _ in self._groups})
        }
        self._real: dict[tuple[str, str], Real] = {}
        for domain in images.domains:
            real, sources = images.count("train", domain), source_count(images, evaluate, domain)
            self._refuse_too_few(domain, real, sources or real, evaluate.outputs_per_source)

    def model(self, nets: Networks, progress: Progress = lambda _: None) -> list[Value]:
        """Values of a model in every mode; `progress` is told each pair that begins."""
        values = []
        for mode in self.evaluate.modes:
            values += self.pairs(nets, mode, guide(self.images, self.evaluate, mode, nets.latent_dim), progress)
        return values + means(values)

    def pairs(
        self, nets: Networks, mode: Mode, guidance: Mapping[Pair, Guidance], progress: Progress = lambda _: None
    ) -> list[Value]:
        """Values of a model for each pair that is guided."""
        nets.eval()
        values = []
        for (source, target), given in guidance.items():
            progress(f"{mode} {source} → {target}")
            with true_float32():
                styles = style_codes(nets, self.images, given, target, self.images_per_batch, self.image_size)
                outputs = translate(nets, self.images, source, given, styles, self.images_per_batch, self.image_size)
                values += self.pair(mode, source, target, outputs, given.sources, styles.shape[1], given.references)
        return values

    @torch.inference_mode()
    @true_float32()
    def pair(
        self,
        mode: str,
        source: str,
        target: str,
        batches: Iterable[Tensor],
        sources: NDArray[np.int64],
        outputs: int,
        references: NDArray[np.int64] | None = None,
    ) -> list[Value]:
        """Values of a pair's images, whoever made them.

        `batches` (n, 3, S, S), uint8, or float32 as a generator gives them, black -1, white 1; all `outputs` of a
        source in a row. `sources` (number,) tells the sources of several pairs apart, `references` (number, outputs)
        the images that styles came from. Raises ValueError if an image holds NaN or infinity, or if there are too few.
        """
        n_real = self.images.count("train", target)
        self._refuse_too_few(f"{source} → {target}", n_real, len(sources), outputs)
        measures = {group: measure(group[0])(self._task(group, target, outputs)) for group in self._groups}
        done = 0
        for raw in batches:
            if not raw.isfinite().all():
                raise ValueError(f"{mode} {source} → {target}: the model gave NaN or infinity")
            some = slice(done, done + len(raw) // outputs)
            done = some.stop
            batch = Batch(raw, sources[some], None if references is None else references[some], self.extractors)
            for each in measures.values():
                each.add(batch)
        estimates = {
            metrics[quantity]: estimate
            for group, metrics in self._groups.items()
            for quantity, estimate in measures[group].estimates(metrics).items()
            if quantity in metrics
        }
        return [
            Value(mode, source, target, metric, _sampled(estimates[metric], source, target), n_real, done * outputs)
            for metric in self.evaluate.metrics
        ]

    def reference_lines(self) -> dict[str, list[Value]]:
        """How to read a distance to real images, by line of `REFERENCE_LINES`: on as many validation images as a pair
        has outputs, or on all there are (fewer images raise a Fréchet distance).

        `real`: real validation images of the target (the floor). `sources`: untranslated sources (doing nothing).
        """
        lines: dict[str, list[Value]] = {name: [] for name in REFERENCE_LINES}
        features_of = functools.cache(lambda extractor, domain: self._features(extractor, "val", domain))
        for group, metrics in self._groups.items():
            measured, extractor = measure(group[0]), group[1]
            if not issubclass(measured, FeatureMeasure):
                continue
            for source in self.images.domains:
                count = source_count(self.images, self.evaluate, source) * self.evaluate.outputs_per_source
                count = min(count, self.images.count("val", source))
                features = features_of(extractor, source)[:count]
                for target in self.images.domains:
                    real = self.real(extractor, target)
                    n, dim = len(real.features), features.shape[1]
                    able = [quantity for quantity in metrics if not shortage(measured, [quantity], n, count, 1, dim)]
                    line, shown = ("real", ANY) if source == target else ("sources", source)
                    estimates = measured.compare(able, real, features) if able else {}
                    for quantity in able:
                        sampled = _sampled(estimates[quantity], source, target)
                        lines[line].append(Value("none", shown, target, metrics[quantity], sampled, n, count))
        return {
            name: values + [whole for whole in means(values) if name != "real" or whole.target == ANY]
            for name, values in lines.items()
        }

    def real(self, extractor: str, domain: str) -> Real:
        """Features of a domain's training images, from the cache of an earlier run where there are any."""
        if (extractor, domain) not in self._real:
            self._real[extractor, domain] = Real(self._cached_real(extractor, domain))
        return self._real[extractor, domain]

    def _task(self, group: _Group, target: str, outputs: int) -> Task:
        name, extractor, raw = group
        real = self.real(extractor, target) if issubclass(measure(name), FeatureMeasure) else None
        return Task(self.evaluate, extractor, raw, self.extractors[extractor], outputs, real)

    def _cached_real(self, extractor: str, domain: str) -> Pooled:
        resize, digest = self.protocol.resize(extractor), EXTRACTORS[extractor].weights.sha256
        key = stable_hash([VERSION, extractor, self.images.fingerprint, domain, self.image_size, resize, digest])
        path = cache_folder() / "real" / f"{key}.npz"
        kept = feature_cache.read(path, self.images.count("train", domain), self.extractors[extractor].dim)
        if kept is None:
            kept = self._features(extractor, "train", domain)
            feature_cache.write(path, kept)
        return kept

    @torch.inference_mode()
    @true_float32()
    def _features(self, extractor: str, split: Split, domain: str) -> Pooled:
        count, step = self.images.count(split, domain), self.images_per_batch
        parts = (range(start, min(start + step, count)) for start in range(0, count, step))
        pooled = []
        for batch in prefetch(lambda part: self.images.batch(split, domain, part, self.image_size), parts):
            pooled.append(self.extractors[extractor](batch.to(self.device)).pooled.cpu().numpy())
        features = np.concatenate(pooled)
        if not np.isfinite(features).all():
            raise ValueError(f"{extractor} gives NaN or infinity for {split} images of {domain}")
        return features

    def _refuse_too_few(self, where: str, real: int, sources: int, outputs: int) -> None:
        for (name, extractor, _), metrics in self._groups.items():
            if lack := shortage(measure(name), metrics, real, sources, outputs, self.extractors[extractor].dim):
                raise ValueError(f"{where}: the metrics asked for need {lack}")


def _sampled(estimate: Estimate, source: str, target: str) -> Estimate:
    """The estimate with its samples named, so that those of other pairs with the same images are known as the same."""
    names = {REAL: f"train/{target}", FAKE: f"val/{source}", REFERENCE: f"references of {source} in {target}"}
    return replace(estimate, influence={names[sample]: each for sample, each in estimate.influence.items()})
