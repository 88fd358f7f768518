"""Values per ordered pair of domains, per target domain and overall; and the reference lines to read them by."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sg2bench import cache
from sg2bench.config import REFERENCE_LINES, Evaluate, stable_hash
from sg2bench.data.images import ImageSet, Split, loaded_ahead
from sg2bench.evaluation import frechet, lpips
from sg2bench.evaluation.extractors import EXTRACTORS, AlexNet
from sg2bench.evaluation.guidance import Guidance, Mode, Pair, guide, source_count
from sg2bench.evaluation.metrics import FAKE, REAL, REFERENCE, Real, measure, needs_more
from sg2bench.evaluation.protocol import VERSION, WEIGHTS, Protocol
from sg2bench.evaluation.translate import at_once, style_codes, to_uint8, translate
from sg2bench.evaluation.uncertainty import Estimate, average, mean
from sg2bench.models.networks import Networks

ANY = "*"
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Value:
    """One measured number. `source` or `target` is `*` for a mean over them; counts are those of one pair."""

    mode: str
    source: str
    target: str
    metric: str
    estimate: Estimate
    n_real: int
    n_fake: int

    @property
    def value(self) -> float:
        return self.estimate.value


class Evaluator:
    """Measures models on one image set under one protocol; real statistics are computed once and cached on disk.

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
        self.at_once = at_once(self.device, evaluate.batch_size, image_size)
        self.extractors: dict[str, torch.nn.Module] = {
            name: EXTRACTORS[name](self.protocol.resize).to(self.device)
            for name in sorted({self.protocol.extractor(metric) for metric in evaluate.metrics})
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
            styles = style_codes(nets, self.images, given, target, self.at_once, self.image_size)
            outputs = translate(nets, self.images, source, given, styles, self.at_once, self.image_size)
            values += self.pair(mode, source, target, outputs, given.sources, styles.shape[1], given.references)
        return values

    @torch.inference_mode()
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
        n_real, in_order = self.images.count("train", target), np.argsort(sources)
        self._refuse_too_few(f"{source} → {target}", n_real, len(sources), outputs)
        pooled: dict[str, list[NDArray[np.float32]]] = {name: [] for name in self.extractors}
        diversity = []
        for raw in batches:
            if not raw.isfinite().all():
                raise ValueError(f"{mode} {source} → {target}: the model gave NaN or infinity")
            images = raw if raw.dtype == torch.uint8 else to_uint8(raw)
            for name, network in self.extractors.items():
                is_lpips = "lpips" in self.evaluate.metrics and name == self.protocol.extractor("lpips")
                as_published = is_lpips and self.evaluate.as_published and raw.dtype != torch.uint8
                features = network((raw + 1) * 127.5 if as_published else images)
                pooled[name].append(features.pooled.cpu().numpy())
                if is_lpips:
                    heads = cast(AlexNet, network).heads
                    diversity.append(lpips.diversity(features.layers, heads, outputs).cpu().numpy())
        measured: dict[str, Estimate] = {}
        for extractor, metrics in self._feature_metrics().items():
            fakes = np.concatenate(pooled[extractor])
            fakes = fakes.reshape(len(sources), outputs, -1)[in_order].reshape(fakes.shape)
            in_rows = None if references is None else references[in_order]
            estimates = measure(metrics, self.real(extractor, target), fakes, outputs, in_rows)
            measured |= {metric: _sampled(estimate, source, target) for metric, estimate in estimates.items()}
        if diversity:
            weights = self._weights(len(sources))
            diverse = average(np.concatenate(diversity)[in_order], weights[in_order], f"val/{source}")
            measured["lpips"] = replace(diverse, bounds=(0.0, np.inf))
        return [
            Value(mode, source, target, metric, measured[metric], n_real, len(sources) * outputs)
            for metric in self.evaluate.metrics
        ]

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
                    able = [m for m in metrics if not needs_more([m], len(real.features), count, 1, features.shape[1])]
                    line, shown = ("real", ANY) if source == target else ("sources", source)
                    for metric, estimate in measure(able, real, features).items():
                        sampled = _sampled(estimate, source, target)
                        lines[line].append(Value("none", shown, target, metric, sampled, real.statistics.count, count))
        return {
            name: values + [whole for whole in means(values) if name != "real" or whole.target == ANY]
            for name, values in lines.items()
        }

    def real(self, extractor: str, domain: str) -> Real:
        """Features of a domain's training images, from the cache of an earlier run where there are any."""
        if (extractor, domain) not in self._real:
            self._real[extractor, domain] = self._cached_real(extractor, domain)
        return self._real[extractor, domain]

    def _cached_real(self, extractor: str, domain: str) -> Real:
        made_by = [VERSION, extractor, self.images.fingerprint, domain, self.image_size, self.protocol.resize]
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
        count, step = self.images.count(split, domain), self.at_once
        parts = (range(start, min(start + step, count)) for start in range(0, count, step))
        pooled = []
        for batch in loaded_ahead(lambda part: self.images.batch(split, domain, part, self.image_size), parts):
            pooled.append(self.extractors[extractor](batch.to(self.device)).pooled.cpu().numpy())
        return np.concatenate(pooled)

    def _weights(self, sources: int) -> NDArray[np.float64]:
        """What each source counts: the same; as published, each batch the same, a short last one as much as others."""
        step = self.evaluate.batch_size if self.evaluate.as_published else sources
        sizes = [min(step, sources - start) for start in range(0, sources, step)]
        return np.concatenate([np.full(size, 1 / (size * len(sizes))) for size in sizes])

    def _refuse_too_few(self, where: str, real: int, sources: int, outputs: int) -> None:
        for name, network in self.extractors.items():
            metrics = [metric for metric in self.evaluate.metrics if self.protocol.extractor(metric) == name]
            if lack := needs_more(metrics, real, sources, outputs, cast(int, network.dim)):
                raise ValueError(f"{where}: the metrics asked for need {lack}")


def means(values: Sequence[Value]) -> list[Value]:
    """Per mode and metric: each target's mean over its sources, and the mean over all pairs."""
    groups: dict[tuple[str, str, str], list[Value]] = {}
    for value in values:
        for target in (value.target, ANY):
            groups.setdefault((value.mode, target, value.metric), []).append(value)
    return [
        replace(group[0], source=ANY, target=target, estimate=mean([value.estimate for value in group]))
        for (_, target, _), group in groups.items()
    ]


def _sampled(estimate: Estimate, source: str, target: str) -> Estimate:
    """The estimate with its samples named, so that those of other pairs with the same images are known as the same."""
    names = {REAL: f"train/{target}", FAKE: f"val/{source}", REFERENCE: f"references of {source} in {target}"}
    return replace(estimate, influence={names[sample]: each for sample, each in estimate.influence.items()})
