"""Fakes: the images of any model, read from a folder."""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from torch import Tensor

from sg2bench import texts
from sg2bench.catalog import METRICS, Mode, Need
from sg2bench.config import Evaluate, Experiment, describe
from sg2bench.data import listing
from sg2bench.data.checks import check
from sg2bench.data.decode import EXTENSIONS, read_image
from sg2bench.data.images import ImageSet, prefetch
from sg2bench.evaluation.evaluator import Evaluator, Progress
from sg2bench.evaluation.guidance import Pair
from sg2bench.evaluation.needs import with_metrics
from sg2bench.evaluation.translators import checked
from sg2bench.evaluation.values import Value, means

REFERENCES = "references.csv"
"""File that names the reference of each fake: see fake_references.py."""


@dataclass(frozen=True)
class Fakes:
    """Files of a pair of domains by source image, the same number for each."""

    source: str
    target: str
    files: Mapping[str, Sequence[Path]]


def read(folder: Path, images: ImageSet) -> list[Fakes]:
    """List the files `<source>2<target>/<stem>_<k>.png` of a folder, or `<stem>.png` if all sources have one output.

    If the source domain has validation images, the stems must be theirs: all of them, or the first of them in name
    order. Warns about files that are left out. Raises ValueError that names the bad folder or file.
    """
    if not folder.is_dir():
        raise ValueError(f"--fake {folder}: no such folder")
    pairs, left_out = [], listing.LeftOut(folder)
    same = {f"{domain}2{domain}" for domain in images.domains}
    for path, kind in listing.entries(folder):
        if kind == listing.FOLDER and path.name in same:
            left_out.add(listing.SAME, path)
        elif kind == listing.FOLDER:
            pairs.append(_pair_of_files(path, images, left_out))
        elif path.name != REFERENCES:
            left_out.add(listing.LOOSE if kind == listing.IMAGE else kind, path)
    left_out.warn()
    if not pairs:
        raise ValueError(f"--fake {folder}: holds no folders <source>2<target>")
    pairs.sort(key=lambda pair: (pair.target, pair.source))
    outputs = {
        len(files): f"{pair.source}2{pair.target}/{stem}" for pair in pairs for stem, files in pair.files.items()
    }
    if len(outputs) > 1:
        some = ", ".join(f"{number} of {name}" for number, name in sorted(outputs.items()))
        raise ValueError(f"--fake {folder}: every source needs the same number of outputs, found {some}")
    for pair, other in itertools.combinations(pairs, 2):
        if pair.source == other.source and (odd := sorted(pair.files.keys() ^ other.files.keys())):
            raise ValueError(
                f"--fake {folder}: {pair.source}2{pair.target} and {other.source}2{other.target} need the same "
                f"sources, but only one of them has {odd[0]}"
            )
    return pairs


def _pair_of_files(folder: Path, images: ImageSet, left_out: listing.LeftOut) -> Fakes:
    source, target = _domains(folder, images.domains)
    known = _stems(images, source)
    found: dict[str, dict[int, Path]] = {}
    paths, others = listing.images(folder)
    left_out.update(others)
    are_numbered = any(path.stem not in known for path in paths)
    for path in paths:
        stem, number = _source_and_number(path, known, source) if are_numbered else (path.stem, 1)
        if number in found.setdefault(stem, {}):
            raise ValueError(f"{path}: another file is already output {number} of {stem}; remove one")
        found[stem][number] = path
    if not found:
        raise ValueError(f"{folder}: holds no images ({', '.join(EXTENSIONS)}){f', but {others}' if others else ''}")
    stems = list(known)[: len(found)] or sorted(found)
    if missing := [stem for stem in stems if stem not in found]:
        raise ValueError(
            f"{folder}: has outputs of {len(found)} sources, but none of `{missing[0]}`; give outputs of the first "
            "sources in name order"
        )
    for stem, of in found.items():
        if not known and sorted(of) not in (list(range(len(of))), list(range(1, len(of) + 1))):
            numbers = ", ".join(map(str, sorted(of)[:4]))
            raise ValueError(
                f"{of[min(of)]}: the outputs of `{stem}` are numbered {numbers} …, not 1, 2, …; name fakes "
                "<stem of the source>_<k>"
            )
    return Fakes(source, target, {stem: [found[stem][k] for k in sorted(found[stem])] for stem in stems})


def _source_and_number(path: Path, known: Collection[str], source: str) -> tuple[str, int]:
    """Split `<stem>_<k>`. Raises ValueError for another form, or a stem that the source domain's images lack."""
    match = re.fullmatch(r"(.+)_(\d+)", path.stem)
    if match is None:
        raise ValueError(f"{path}: name fakes <stem of the source>_<k>{path.suffix}")
    if known and match[1] not in known:
        raise ValueError(f"{path}: val/{source} has no image `{match[1]}`; name fakes <stem of the source>_<k>")
    return match[1], int(match[2])


def _stems(images: ImageSet, source: str) -> dict[str, str]:
    """Return the names of a domain's validation images by their stems, in the order of the names, which is not that of
    the stems: `a-1.png` comes before `a.png`. Raises ValueError if two have the same stem.
    """
    names = images.names["val"].get(source, ())
    stems = {Path(name).stem: name for name in names}
    if twice := [name for name in names if stems[Path(name).stem] != name]:
        stem = Path(twice[0]).stem
        raise ValueError(f"val/{source}: two images are called `{stem}`, with different extensions; rename one")
    return stems


def _domains(folder: Path, known: Sequence[str]) -> tuple[str, str]:
    """Split `<source>2<target>` into source and target; the source may be a domain without real images."""
    name = folder.name
    splits = [(name[:i], name[i + 1 :]) for i, letter in enumerate(name) if letter == "2" and i]
    splits = [
        (source, target)
        for source, target in splits
        if target in known and source != target and texts.is_domain(source)
    ]
    splits = [split for split in splits if split[0] in known] or splits
    if len(splits) != 1:
        raise ValueError(
            f"{folder}: name the folder <source>2<target>, where <target> is a domain of the real images "
            f"({', '.join(known)})"
        )
    return splits[0]


def fit(
    experiment: Experiment, pairs: Sequence[Fakes], mode: Mode, images: ImageSet, with_references: bool = False
) -> Experiment:
    """Return the experiment with the counts of the files in its protocol, and with the metrics that files allow.

    Raises ValueError if the protocol needs what files cannot hold, or if their counts contradict the experiment's.
    """
    evaluate, outputs = experiment.evaluate, len(next(iter(pairs[0].files.values())))
    lacking: set[Need] = set() if with_references else {"references"}
    if outputs == 1:
        lacking.add("outputs")
    if any(pair.source not in images.domains for pair in pairs):
        lacking.add("sources")
    try:
        evaluate = Evaluate.model_validate(evaluate.model_dump(exclude_unset=True) | {"modes": [mode]})
    except ValidationError as error:
        raise ValueError(f"outputs in mode {mode}: {describe(error)}") from None
    metrics = with_metrics(evaluate, images, lacking).metrics
    if "outputs_per_source" in evaluate.model_fields_set and evaluate.outputs_per_source != outputs:
        raise ValueError(
            f"there are {outputs} outputs per source, but evaluate.outputs_per_source is {evaluate.outputs_per_source}"
        )
    if raw := [metric for metric in metrics if evaluate.protocol in METRICS[metric].raw]:
        others = ",".join(metric for metric in metrics if metric not in raw)
        raise ValueError(
            f"protocol {evaluate.protocol} measures {', '.join(raw)} on raw outputs, which files cannot hold: use "
            f"--translator or --protocol standard{f', or --set evaluate.metrics=[{others}]' * bool(others)}"
        )
    for pair in pairs:
        if evaluate.sources is not None and len(pair.files) != evaluate.sources:
            raise ValueError(
                f"{pair.source}2{pair.target} has outputs of {len(pair.files)} sources, but evaluate.sources is "
                f"{evaluate.sources}"
            )
    fitted = evaluate.model_dump() | {"metrics": metrics, "modes": [mode], "outputs_per_source": outputs}
    return experiment.model_copy(update={"evaluate": Evaluate.model_validate(fitted)})


def side_of(pairs: Sequence[Fakes]) -> int:
    """Decode all fakes and return their common side in pixels.

    Raises ValueError that names all broken files, or one that is not square or of another size.
    """
    folders: dict[Path, list[str]] = {}
    for path in (path for pair in pairs for files in pair.files.values() for path in files):
        folders.setdefault(path.parent, []).append(path.name)
    root = next(iter(folders)).parent
    found = check(root, {folder.relative_to(root): names for folder, names in folders.items()})
    images = {root / folder / name: image for folder, files in found.items() for name, image in files.items()}
    first, wanted = next(iter(images.items()))
    for file, image in images.items():
        if image.width != image.height:
            raise ValueError(f"{file}: is {image.width} × {image.height} pixels; fakes must be square")
        if image.width != wanted.width:
            raise ValueError(f"{file}: is {image.width} pixels wide, {first} is {wanted.width}; give all the same size")
    return wanted.width


def score(
    evaluator: Evaluator,
    pairs: Sequence[Fakes],
    mode: Mode,
    progress: Progress = lambda _: None,
    references: Mapping[Pair, NDArray[np.int64]] | None = None,
) -> list[Value]:
    """Measure every pair. Raises ValueError for a broken file, or if there are too few."""
    values = []
    for pair in pairs:
        outputs = len(next(iter(pair.files.values())))
        counts = f"{len(pair.files)} sources × {outputs} output{'s' * (outputs > 1)}"
        progress(f"{mode} {pair.source} → {pair.target}: {counts}")
        step = max(1, evaluator.images_per_batch // outputs)
        sources = list(pair.files.values())
        parts = (
            [path for files in sources[start : start + step] for path in files]
            for start in range(0, len(sources), step)
        )
        batches = prefetch(lambda paths: torch.stack([_pixels(path) for path in paths]), parts)
        images = (batch.to(evaluator.device) for batch in checked(batches, f"{pair.source} → {pair.target}"))
        chosen = references[pair.source, pair.target] if references else None
        values += evaluator.pair(mode, pair.source, pair.target, images, np.arange(len(sources)), outputs, chosen)
    return values + means(values)


def _pixels(path: Path) -> Tensor:
    return torch.from_numpy(np.array(read_image(path))).permute(2, 0, 1)
