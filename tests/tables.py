"""Result rows to test with."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch

from sg2bench.catalog import METRICS, REFERENCE_LINES, default_metrics
from sg2bench.evaluation.uncertainty import Estimate
from sg2bench.evaluation.values import Value, tabulate
from sg2bench.rows import COLUMNS


def table(tiny, variant="full", seed=0, shift=0.0):
    values = [
        Value("latent", source, target, metric, Estimate(base + shift, {"val/cat": np.array([0.5, -0.5])}), 6, 4)
        for metric, base in (("fd_alexnet", 50.0), ("lpips", 0.25))
        for source, target in (("cat", "dog"), ("*", "dog"), ("*", "*"))
    ]
    return tabulate(values, tiny, variant, seed, 4, "f" * 16, torch.device("cpu"), "c" * 16)


LINES = {
    "real": [Value("none", "*", "*", "fd_alexnet", Estimate(1.5, {"val/cat": np.array([0.5, -0.5])}), 6, 4)],
    "sources": [Value("none", "*", "*", "fd_alexnet", Estimate(90.0, {"val/cat": np.array([0.5, -0.5])}), 6, 4)],
}


def study(variants=("full", "no_ds", "no_adv"), seeds=(0, 1, 2), domains=("cat", "dog", "bunny"), metrics=None):
    """Rows of every usual metric of critters, each in its modes, with all reference lines. `full` is better than the
    others, and reaches, keeps and follows alike with every seed where values have an end.
    """
    metrics = metrics or default_metrics("offline")
    rng = np.random.default_rng(0)
    pairs = [(source, target) for source in domains for target in domains if source != target]
    rows = []
    for place, variant in enumerate((*variants, *REFERENCE_LINES)):
        is_model = variant in variants
        for seed in seeds if is_model else seeds[:1]:
            for metric in metrics:
                entry = METRICS[metric]
                for mode in entry.modes if is_model else ["none"]:
                    if is_model or "outputs" not in entry.needs:
                        values = _values(entry, place if is_model else 2, len(pairs), rng)
                        rows += _with_means(pairs, values, variant=variant, seed=seed, mode=mode, metric=metric)
    constant = {"experiment": "study", "step": 4, "n_real": 50, "n_fake": 40, "protocol": "offline", "device": "cpu"}
    constant |= dict.fromkeys(("protocol_hash", "data_fingerprint", "config_hash"), "0" * 16)
    constant |= {"weights_sha256": "0" * 64, "extractor": "alexnet", "dtype": "float32", "torch_version": "2"}
    constant |= {"sg2bench_version": "1", "git_commit": "abc", "created_at": "2026-01-31T12:00:00+00:00"}
    table = pd.DataFrame(rows).assign(**constant, outputs_per_source=2)
    table.loc[table["variant"].isin(REFERENCE_LINES), "outputs_per_source"] = np.nan
    return table.reindex(columns=COLUMNS)


def _values(entry, worse, count, rng):
    """Values of pairs that are the worse, the larger the number; from 0 to 1 for shares, near 0 for signed metrics."""
    noise = 0.1 * rng.random(count)
    if entry.signed:
        return -0.1 * worse * (1 + noise) if entry.most == 0 else 0.1 * worse + noise - 0.05
    if entry.better == "lower":
        return 10 * (worse + 1) * (1 + noise)
    return np.ones(count) if worse == 0 and entry.counted else (0.9 - noise) / (worse + 1)


def _with_means(pairs, values, **shared):
    """Rows of pairs, with the means over sources and over all."""
    found = [(source, target, value) for (source, target), value in zip(pairs, values, strict=True)]
    targets = dict.fromkeys(target for _, target in pairs)
    found += [("*", target, np.mean([v for _, t, v in found if t == target])) for target in targets]
    found.append(("*", "*", float(np.mean(values))))
    return [shared | {"source": source, "target": target, "value": value} for source, target, value in found]


def over_seeds(values, step=4, protocol="offline", mode="latent", first_seed=0):
    """The means over all pairs of variants: `values` by variant and metric, one a seed."""
    keys = {"mode": mode, "source": "*", "target": "*", "step": step, "protocol": protocol, "n_real": 50, "n_fake": 40}
    keys |= {"experiment": "study", "data_fingerprint": "0" * 16, "protocol_hash": "0" * 16, "config_hash": "0" * 16}
    return pd.DataFrame(
        keys | {"variant": variant, "metric": metric, "seed": first_seed + place, "value": float(value)}
        for variant, by_metric in values.items()
        for metric, of_seeds in by_metric.items()
        for place, value in enumerate(of_seeds)
    )
