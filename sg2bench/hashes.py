"""Hashes of what values and weights depend on."""

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
    """First 16 hex digits of the SHA-256 of `value` as JSON with sorted keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def training_hash(experiment: Experiment, data_fingerprint: str, files: Mapping[str, str]) -> str:
    """Hash (16 hex digits) of all that decides the weights of a resolved run, its seed apart.

    The images count by their fingerprint and `files`, that training begins with, by their SHA-256, not by where they
    are.
    """
    return stable_hash(_decisive(experiment, data_fingerprint, files))


def lineage_hash(experiment: Experiment, data_fingerprint: str, files: Mapping[str, str]) -> str:
    """The same without the number of steps: runs that share it go the same way, one farther than the other.

    Where `loss.ds_steps` is null, the schedule of the diversity weight follows `train.steps`, and no other number of
    steps goes the same way.
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
            del plain["train"][key]  # the hash is that of before there was the key
    del plain["model"]["fan_weights"]
    return plain | {"files": dict(files)}
