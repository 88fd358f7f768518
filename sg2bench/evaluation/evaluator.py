"""The evaluator: values per ordered pair of domains, per target domain and overall."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sg2bench import distributed
from sg2bench.catalog import METRICS, Mode
from sg2bench.config import Evaluate
from sg2bench.data.images import ImageSet, Split, prefetch
from sg2bench.devices import true_float32
from sg2bench.evaluation import array_cache
from sg2bench.evaluation.extractors import EXTRACTORS
from sg2bench.evaluation.guidance import Guidance, Pair, Part, guide, source_count, take
from sg2bench.evaluation.measures.base import (
    FAKE,
    HELD_OUT,
    REAL,
    REFERENCE,
    Batch,
    Pooled,
    RealSet,
    Task,
    measure,
    shortage,
)
from sg2bench.evaluation.needs import with_metrics
from sg2bench.evaluation.originals import Originals
from sg2bench.evaluation.outputs import images_per_batch, is_finite, keep_freed_memory, style_codes, translate
from sg2bench.evaluation.protocol import VERSION, Protocol
from sg2bench.evaluation.uncertainty import Estimate
from sg2bench.evaluation.values import Value, means
from sg2bench.files import cache_folder
from sg2bench.hashes import stable_hash
from sg2bench.models.networks import Networks

Progress = Callable[[str], None]
Group = tuple[str, str, bool]
Groups = dict[Group, dict[str, str]]
"""Metrics by measure, extractor, and whether it sees raw outputs; metrics of one group are computed together."""


class Evaluator:
    """Measure models on one image set under one protocol; features of real images are cached on disk.

    Without metrics in `evaluate`, the default ones that the images allow are measured. `parts` are the parts of the
    sources that will also be measured alone. Raises ValueError if images are too few, or lack what metrics need.
    """

    def __init__(
        self,
        evaluate: Evaluate,
        images: ImageSet,
        image_size: int,
        device: torch.device | str = "cpu",
        parts: Collection[Part] = (),
        draws_references: bool = True,
    ) -> None:
        keep_freed_memory()
        evaluate = with_metrics(evaluate, images)
        self.evaluate = evaluate
        self.protocol = Protocol(evaluate, image_size)
        self.image_size = image_size
        self.images = images
        self.device = torch.device(device)
        self.images_per_batch = images_per_batch(self.device, evaluate.batch_size, image_size)
        self.groups: Groups = {}  # metrics by quantity
        for metric in evaluate.metrics:
            entry, extractor = METRICS[metric], self.protocol.extractor(metric)
            group = entry.measure, extractor, self.protocol.sees_raw_outputs(metric)
            self.groups.setdefault(group, {})[entry.quantity] = metric
            least = EXTRACTORS[extractor].least_side
            if self.protocol.resize(extractor) is None and image_size < least:
                raise ValueError(
                    f"{metric} needs images of {least} px or more under protocol {self.protocol.name}, these have "
                    f"{image_size}; make them larger, or leave it out with evaluate.metrics"
                )
        names = {extractor for _, extractor, _ in self.groups}
        names |= {shared for name in names if (shared := EXTRACTORS[name].pass_of)}
        self.extractors = {name: EXTRACTORS[name](self.protocol.resize(name)).to(self.device) for name in sorted(names)}
        self.real = {name: self._real_set(name) for name in self.extractors}
        for part in ("all", *parts):
            for domain in images.domains:
                real, sources = images.count("train", domain), source_count(images, evaluate, domain)
                taken = {"all": sources or real, "even": (sources + 1) // 2, "odd": sources // 2}[part]
                where = domain if part == "all" else f"{part} sources of {domain} (train.evaluate_at or evaluate_every)"
                self._refuse_too_few(where, real, taken, evaluate.outputs_per_source)
            if draws_references and any("truth" in METRICS[metric].needs for metric in evaluate.metrics):
                self._refuse_without_truth(part)

    def model(self, nets: Networks, progress: Progress = lambda _: None, part: Part = "all") -> list[Value]:
        """Measure a model in every mode; `progress` is called with each pair as it starts.

        Several processes share the pairs, and each returns all values.
        """

        def measure_pair(guided: tuple[Mode, Pair, Guidance]) -> list[Value]:
            mode, pair, given = guided
            return self.pairs(nets, mode, {pair: given}, progress)

        guided = [
            (mode, pair, given)
            for mode in self.evaluate.modes
            for pair, given in take(guide(self.images, self.evaluate, mode, nets.latent_dim), part).items()
        ]
        values = [value for found in distributed.map_items(measure_pair, guided) for value in found]
        return values + means(values)

    def pairs(
        self, nets: Networks, mode: Mode, guidance: Mapping[Pair, Guidance], progress: Progress = lambda _: None
    ) -> list[Value]:
        """Measure a model on each pair of the guidance."""
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
        groups: Groups | None = None,
    ) -> list[Value]:
        """Return the values of a pair's images, from whatever model.

        `batches` (n, 3, S, S) are uint8, or float32 as generators produce them, black -1 and white 1, with all
        `outputs` of a source in a row. `sources` (number,) are indices that identify sources across pairs, and
        `references` (number, outputs) those of the images that gave the styles. `groups` are the metrics, by default
        all of the mode. Raises ValueError if an image holds NaN or infinity, or if there are too few images.
        """
        n_real = self.images.count("train", target)
        self._refuse_too_few(f"{source} → {target}", n_real, len(sources), outputs)
        groups, originals = groups or self.groups_of(mode), self.originals(source, target, sources)
        measures = {group: measure(group[0])(self._task(group, originals, outputs)) for group in groups}
        done = 0
        for raw in batches:
            if not is_finite(raw):
                raise ValueError(f"{mode} {source} → {target}: the model's outputs hold NaN or infinity")
            some = slice(done, done + len(raw) // outputs)
            done = some.stop
            chosen = None if references is None else references[some]
            batch = Batch(raw, sources[some], chosen, self.extractors, originals)
            for each in measures.values():
                each.add(batch)
        estimates = {
            metrics[quantity]: estimate
            for group, metrics in groups.items()
            for quantity, estimate in measures[group].estimates(metrics).items()
            if quantity in metrics
        }
        return [
            Value(mode, source, target, metric, sampled(estimate, source, target), n_real, count)
            for metric in self.evaluate.metrics
            if (estimate := estimates.get(metric)) is not None
            for count in [estimate.images or done * outputs]
        ]

    def originals(self, source: str, target: str, sources: NDArray[np.int64]) -> Originals:
        """Return the images that the outputs of a pair with these `sources` are compared with."""
        return Originals(self.images, source, target, np.sort(sources), self.image_size, self.device)

    def groups_of(self, mode: str) -> Groups:
        """Return the groups of metrics measured in a mode."""
        found = {
            group: {quantity: metric for quantity, metric in metrics.items() if mode in METRICS[metric].modes}
            for group, metrics in self.groups.items()
        }
        return {group: metrics for group, metrics in found.items() if metrics}

    def _task(self, group: Group, originals: Originals, outputs: int) -> Task:
        _, extractor, raw = group
        looks_at_real = any("real" in METRICS[metric].needs for metric in self.groups[group].values())
        real = self.real[extractor][originals.target] if looks_at_real else None
        return Task(self.evaluate, extractor, raw, self.extractors[extractor], outputs, real, originals)

    def _real_set(self, extractor: str) -> RealSet:
        """Return the features of real images, computed on demand."""
        return RealSet(
            self.images.domains,
            lambda domain: self._cached(extractor, "train", domain),
            lambda domain: self._cached(extractor, "val", domain),
        )

    def _cached(self, extractor: str, split: Split, domain: str) -> Pooled:
        """Return features of real images from the cache; if missing, compute them (for all that share the pass)."""
        shape = self.images.count(split, domain), self.extractors[extractor].dim
        kept = array_cache.read(self._cache_path(extractor, split, domain), {"features": shape})
        if kept is not None:
            return kept["features"]
        features = self._features(EXTRACTORS[extractor].pass_of or extractor, split, domain)
        for name, pooled in features.items():
            array_cache.write(self._cache_path(name, split, domain), {"features": pooled})
        return features[extractor]

    def _cache_path(self, extractor: str, split: Split, domain: str) -> Path:
        resize, digest = self.protocol.resize(extractor), EXTRACTORS[extractor].weights_sha256
        content = [VERSION, extractor, self.images.fingerprint, domain, self.image_size, resize, digest]
        key = stable_hash(content if split == "train" else [*content, split])
        return cache_folder() / "real" / f"{key}.npz"

    @torch.inference_mode()
    @true_float32()
    def _features(self, extractor: str, split: Split, domain: str) -> dict[str, Pooled]:
        """Compute features of real images by a network and by those that share its pass."""
        count, step = self.images.count(split, domain), self.images_per_batch
        parts = (range(start, min(start + step, count)) for start in range(0, count, step))
        pooled: dict[str, list[Pooled]] = {
            name: [] for name in self.extractors if extractor in (name, EXTRACTORS[name].pass_of)
        }
        for batch in prefetch(lambda part: self.images.batch(split, domain, part, self.image_size), parts):
            seen = self.extractors[extractor](batch.to(self.device))
            for name, batches in pooled.items():
                batches.append(EXTRACTORS[name].view(seen).pooled.cpu().numpy())
        features = {name: np.concatenate(batches) for name, batches in pooled.items()}
        for name, each in features.items():
            if not np.isfinite(each).all():
                raise ValueError(f"{name}: the features of {split} images of {domain} hold NaN or infinity")
        return features

    def _refuse_without_truth(self, part: Part) -> None:
        guidance = take(guide(self.images, self.evaluate, "reference", latent_dim=1), part)
        for (source, target), given in guidance.items():
            assert given.references is not None
            originals, found = self.originals(source, target, given.sources), 0
            for index, references in zip(given.sources, given.references, strict=True):
                found += int(originals.truths(index[None], references[None])[1].any())
                if found == 2:
                    break
            else:
                asked = [metric for metric in self.evaluate.metrics if "truth" in METRICS[metric].needs]
                which = "" if part == "all" else f"{part} "
                raise ValueError(
                    f"{source} → {target}: {' and '.join(asked)} need right images for 2 or more {which}sources, "
                    f"found {found}; add them (docs/own-data.md), or leave out these metrics with evaluate.metrics"
                )

    def _refuse_too_few(self, where: str, real: int, sources: int, outputs: int) -> None:
        for (name, extractor, _), metrics in self.groups.items():
            for quantity, metric in metrics.items():
                if lack := shortage(measure(name), quantity, real, sources, outputs, self.extractors[extractor].dim):
                    raise ValueError(
                        f"{where}: too few images for {metric}, which needs {lack}; add images, or leave it out with "
                        "evaluate.metrics"
                    )


def sampled(estimate: Estimate, source: str, target: str) -> Estimate:
    """Name the samples of an estimate so that samples shared with other pairs are recognised."""
    names = {
        REAL: f"train/{target}",
        FAKE: f"val/{source}",
        REFERENCE: f"references in {target}",
        HELD_OUT: f"held out {target}",
    }
    return replace(estimate, influence={names[sample]: each for sample, each in estimate.influence.items()})
