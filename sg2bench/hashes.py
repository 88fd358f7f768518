"""Hashes of everything that values and weights depend on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from sg2bench.config import Experiment

_NOT_DECISIVE = (
    "log_every",
    "save_every",
    "loader_workers",
    "start_from",
    "evaluate_at",
    "evaluate_every",
    "best_by",
    "compile",
)
_USUAL = {"mirror": True, "sparse_heads": False, "encoder_learns": "latent", "precision": "float32"}


def stable_hash(value: object) -> str:
    """Return the first 16 hex digits of the SHA-256 of `value` as JSON with sorted keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def training_hash(experiment: Experiment, data_fingerprint: str, files: Mapping[str, str]) -> str:
    """Return the hash (16 hex digits) of everything except the seed that determines the weights of a resolved run.

    Images enter by their fingerprint, and `files` that training starts from by their SHA-256, not by their paths.
    """
    return stable_hash(_decisive(experiment, data_fingerprint, files))


def lineage_hash(experiment: Experiment, data_fingerprint: str, files: Mapping[str, str]) -> str:
    """Return the hash of a run without its number of steps: runs that share it are identical until the shorter ends.

    If `loss.ds_steps` is null, the schedule of the diversity weight depends on `train.steps`, so runs with different
    numbers of steps do not share the hash.
    """
    plain = _decisive(experiment, data_fingerprint, files)
    steps = plain["train"].pop("steps")
    plain["loss"]["ds_steps"] = (experiment.loss.ds_steps or steps) if experiment.loss.ds else None
    return stable_hash(plain)


def _decisive(experiment: Experiment, data_fingerprint: str, files: Mapping[str, str]) -> dict[str, Any]:
    plain = experiment.model_dump(mode="json", include={"model", "loss", "train"}) | {"data": data_fingerprint}
    for key in _NOT_DECISIVE:
        del plain["train"][key]
    for key, usual in _USUAL.items():
        if plain["train"][key] == usual:
            del plain["train"][key]  # keeps the hash from before the key existed
    del plain["model"]["fan_weights"]
    return plain | {"files": dict(files)}
