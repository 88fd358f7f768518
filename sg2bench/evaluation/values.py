"""Measured values, their means over pairs of domains, and their conversion to rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd
import torch

from sg2bench import devices, provenance, texts
from sg2bench.catalog import REFERENCE_LINES
from sg2bench.config import Experiment
from sg2bench.evaluation.extractors import EXTRACTORS
from sg2bench.evaluation.guidance import Part
from sg2bench.evaluation.protocol import Protocol
from sg2bench.evaluation.uncertainty import Estimate, mean
from sg2bench.rows import COLUMNS, LARGEST
from sg2bench.version import __version__

ANY = "*"


@dataclass(frozen=True)
class Value:
    """One measured value. `source` or `target` is `*` for a mean over them.

    Counts are those of the pair; for a mean, the smallest of its pairs, which limit its precision.
    """

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


def means(values: Sequence[Value]) -> list[Value]:
    """Average per mode and metric: over the sources of each target, and over all pairs."""
    groups: dict[tuple[str, str, str], list[Value]] = {}
    for value in values:
        for target in (value.target, ANY):
            groups.setdefault((value.mode, target, value.metric), []).append(value)
    return [
        replace(
            group[0],
            source=ANY,
            target=target,
            estimate=mean([value.estimate for value in group]),
            n_real=min(value.n_real for value in group),
            n_fake=min(value.n_fake for value in group),
        )
        for (_, target, _), group in groups.items()
    ]


def tabulate(
    values: Sequence[Value],
    experiment: Experiment,
    variant: str,
    seed: int,
    step: int,
    data_fingerprint: str,
    device: torch.device,
    config_hash: str,
    image_size: int | None = None,
    part: Part = "all",
) -> pd.DataFrame:
    """Convert values of a resolved experiment to rows.

    `config_hash` identifies the training of the model. `image_size` is the size of its images, if not that of the
    experiment's model. `part` is the part of the sources that was translated. Raises ValueError for a value that is not
    a number or too large.
    """
    for value in values:
        if not abs(value.value) <= LARGEST:
            raise ValueError(
                f"{value.mode} {value.source} → {value.target}: {value.metric} is {value.value}; the model's outputs "
                "are too large to measure"
            )
    protocol = Protocol(experiment.evaluate, image_size or experiment.model.image_size, part)
    shared = {
        "experiment": experiment.name,
        "variant": variant,
        "seed": seed,
        "step": step,
        "outputs_per_source": None if variant in REFERENCE_LINES else experiment.evaluate.outputs_per_source,
        "protocol": protocol.title,
        "data_fingerprint": data_fingerprint,
        "config_hash": config_hash,
        "device": texts.plain(devices.full_name(device)),
        "dtype": "float32",
        "torch_version": torch.__version__,
        "sg2bench_version": __version__,
        "git_commit": provenance.git_commit(),
        "created_at": provenance.now(),
    }
    table = [
        shared
        | vars(value)
        | {"value": value.value, "ci_low": low, "ci_high": high, "protocol_hash": protocol.hash(value.metric)}
        | {"extractor": extractor, "weights_sha256": EXTRACTORS[extractor].weights_sha256}
        for value in values
        for extractor in [protocol.extractor(value.metric)]
        for low, high in [value.estimate.interval()]
    ]
    return pd.DataFrame(table, columns=COLUMNS)
