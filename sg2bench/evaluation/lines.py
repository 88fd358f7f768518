"""Reference lines: scores of real images, sources, references or right images in place of a model's outputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

import torch
from torch import Tensor

from sg2bench.catalog import REFERENCE_LINES, Mode
from sg2bench.evaluation.evaluator import Evaluator, sampled
from sg2bench.evaluation.guidance import Guidance, guide, source_count
from sg2bench.evaluation.measures.base import Fake, FeatureMeasure, measure, shortage
from sg2bench.evaluation.originals import Originals
from sg2bench.evaluation.values import ANY, Value, means


def reference_lines(evaluator: Evaluator) -> dict[str, list[Value]]:
    """Return values by line of `REFERENCE_LINES`, each for the metrics it applies to.

    Metrics on features take as many validation images as a pair has outputs, or all if there are fewer (fewer images
    raise a Fréchet distance). Metrics that compare an output with its source, reference or right image get such images
    in place of the outputs, in mode reference if that is measured.
    """
    lines: dict[str, list[Value]] = {name: [] for name in REFERENCE_LINES}
    for name, values in (*_of_features(evaluator).items(), *_in_place_of_outputs(evaluator).items()):
        lines[name] += values
    domains = len(evaluator.images.domains)
    return {name: values + _whole_means(values, name, domains) for name, values in lines.items()}


def _whole_means(values: list[Value], line: str, domains: int) -> list[Value]:
    """Return the means of a line over all pairs of domains that models have. A line may lack pairs: too few validation
    images, or no right images.
    """
    by_metric = Counter(value.metric for value in values)
    by_target = Counter((value.metric, value.target) for value in values)
    if line == "real":  # one value per domain
        return [mean for mean in means(values) if mean.target == ANY and by_metric[mean.metric] == domains]
    return [
        mean
        for mean in means(values)
        if (
            by_metric[mean.metric] == domains * (domains - 1)
            if mean.target == ANY
            else by_target[mean.metric, mean.target] == domains - 1
        )
    ]


def _of_features(evaluator: Evaluator) -> dict[str, list[Value]]:
    """Return the lines `real` (validation images of the target) and `sources` (untranslated sources)."""
    lines: dict[str, list[Value]] = {"real": [], "sources": []}
    images, evaluate = evaluator.images, evaluator.evaluate
    for (name, extractor, _), metrics in evaluator.groups.items():
        measured = measure(name)
        if not issubclass(measured, FeatureMeasure):
            continue
        for source in images.domains:
            count = source_count(images, evaluate, source) * evaluate.outputs_per_source
            count = min(count, images.count("val", source))
            for target in images.domains:
                real = evaluator.real[extractor][target]
                features = evaluator.real[extractor].held_out(source)[:count]
                n, dim = len(real.features), features.shape[1]
                able = [quantity for quantity in metrics if not shortage(measured, quantity, n, count, 1, dim)]
                line, shown = ("real", ANY) if source == target else ("sources", source)
                estimates = measured.compare(able, real, Fake(features)) if able else {}
                for quantity in able:
                    estimate = sampled(estimates[quantity], source, target)
                    lines[line].append(Value("none", shown, target, metrics[quantity], estimate, n, count))
    return lines


def _in_place_of_outputs(evaluator: Evaluator) -> dict[str, list[Value]]:
    """Return the lines `sources`, `references`, `means` (the target's mean image) and `truth` (right images)."""
    mode: Mode = "reference" if "reference" in evaluator.evaluate.modes else "latent"
    groups = evaluator.groups_of(mode)
    compared = {group: metrics for group, metrics in groups.items() if measure(group[0]).needs_originals}
    if not compared:
        return {}
    lines: dict[str, list[Value]] = {"sources": [], "references": [], "means": [], "truth": []}
    mean_images = _mean_images(evaluator) if mode == "reference" else {}
    for (source, target), given in guide(evaluator.images, evaluator.evaluate, mode, latent_dim=1).items():
        originals = evaluator.originals(source, target, given.sources)
        for line, batches in _lines(evaluator, originals, given, mean_images.get(target)).items():
            of_line = groups if line == "truth" else compared
            lines[line] += evaluator.pair(
                mode,
                source,
                target,
                batches,
                given.sources,
                evaluator.evaluate.outputs_per_source,
                given.references,
                of_line,
            )
    return {line: [replace(value, mode="none") for value in values] for line, values in lines.items()}


def _lines(
    evaluator: Evaluator, originals: Originals, given: Guidance, mean_image: Tensor | None
) -> dict[str, Iterable[Tensor]]:
    """Return the images in place of a pair's outputs, by line, in batches with a source's outputs in a row."""
    outputs = evaluator.evaluate.outputs_per_source
    step = max(1, evaluator.images_per_batch // outputs)
    parts = [slice(start, start + step) for start in range(0, len(given.sources), step)]
    lines: dict[str, Iterable[Tensor]] = {
        "sources": (originals.sources(given.sources[part]).repeat_interleave(outputs, 0) for part in parts)
    }
    if (references := given.references) is None or mean_image is None:
        return lines
    lines["references"] = (originals.references(references[part].ravel()) for part in parts)
    lines["means"] = (mean_image.expand(references[part].size, -1, -1, -1) for part in parts)
    if evaluator.images.truth is not None:
        truths = [originals.truths(given.sources[part], references[part]) for part in parts]
        if all(known.all() for _, known in truths):
            lines["truth"] = (images for images, _ in truths)
    return lines


def _mean_images(evaluator: Evaluator) -> dict[str, Tensor]:
    """Return the mean of each domain's training images, uint8 (1, 3, S, S)."""
    images, side, found = evaluator.images, evaluator.image_size, {}
    for domain in images.domains:
        count, step = images.count("train", domain), evaluator.images_per_batch
        total = torch.zeros(3, side, side, dtype=torch.float64)
        for start in range(0, count, step):
            batch = images.batch("train", domain, range(start, min(start + step, count)), side)
            total += batch.sum(0, dtype=torch.float64)
        found[domain] = (total / count).round().to(torch.uint8)[None].to(evaluator.device)
    return found
