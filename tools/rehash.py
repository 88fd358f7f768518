"""Update rows from the time when one hash covered a whole protocol: `python -m tools.rehash`.

A hash now covers only what its value depends on (`Protocol.hash`). The old hash is computed from the experiment's
settings and must match. No other cell changes, and current rows stay as they are.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

import pandas as pd

from sg2bench import experiments, weights
from sg2bench.catalog import metrics_of
from sg2bench.config import Evaluate, Experiment
from sg2bench.evaluation.protocol import Protocol
from sg2bench.files import atomic_file
from sg2bench.hashes import stable_hash
from sg2bench.layout import EXPERIMENT, LEADERBOARD, RESULTS
from tools.tables import ROOT

Hashes: TypeAlias = Mapping[tuple[str, str], str]
"""New hashes by old hash and metric."""
_NETWORKS = {
    "offline": {"alexnet": weights.ALEXNET_LPIPS, "efficientnet-lite0": weights.EFFICIENTNET_LITE0},
    "standard": {"alexnet": weights.ALEXNET_LPIPS, "inception-v3-compat": weights.INCEPTION_2015},
    "paper": {"alexnet": weights.ALEXNET_LPIPS, "inception-v3-torchvision": weights.INCEPTION_TORCHVISION},
}
"""All networks of each protocol at the time when one hash covered them together."""
_COLUMN = "protocol_hash"


def old_hash(evaluate: Evaluate, image_size: int) -> str:
    """Return the old hash, which all rows of an evaluation shared, whatever the metric."""
    content = {
        "version": 1,
        "name": evaluate.protocol,
        "images": "8-bit RGB",
        "image_size": image_size,
        "sources": evaluate.sources,
        "outputs_per_source": evaluate.outputs_per_source,
        "seed": evaluate.seed,
        "weights": {network: file.sha256 for network, file in _NETWORKS[evaluate.protocol].items()},
    }
    if evaluate.protocol == "offline":
        content["resize"] = [evaluate.resize, "bicubic antialias, clamped"]
    if evaluate.as_published:
        content["batch_size"] = evaluate.batch_size
    return stable_hash(content)


def hashes_of(experiment: Experiment) -> dict[tuple[str, str], str]:
    """Return old and new hashes of an experiment's rows."""
    evaluate, image_size = experiment.evaluate, experiment.model.image_size
    protocol, old = Protocol(evaluate, image_size), old_hash(evaluate, image_size)
    return {(old, metric): protocol.hash(metric) for metric in metrics_of(evaluate.protocol)}


def rehash(path: Path, hashes: Hashes) -> int:
    """Rewrite a file's hashes and return the number of changed rows.

    Raises ValueError with the file and line of a hash that is neither old nor new, or if anything else in the file
    would change.
    """
    content = path.read_bytes()
    table = _cells(content)
    if _csv(table) != content:
        raise ValueError(f"{path}: pandas would change other bytes, such as quotes or line ends; save it with pandas")
    current = {(new, metric) for (_, metric), new in hashes.items()}
    found = list(zip(table[_COLUMN], table["metric"], strict=True))
    for line, (value, metric) in enumerate(found, 2):
        if (value, metric) not in current and (value, metric) not in hashes:
            expected = ", ".join(sorted({old for old, _ in hashes}))
            raise ValueError(
                f"{path}: line {line}: {metric} has the protocol hash {value}, but the settings give {expected}; "
                "these rows were made with other settings, so they cannot be rehashed"
            )
    rewritten = [hashes.get(key, key[0]) for key in found]
    changed = sum(new != old for new, (old, _) in zip(rewritten, found, strict=True))
    if changed:
        new_content = _csv(table.assign(**{_COLUMN: rewritten}))
        pd.testing.assert_frame_equal(_cells(new_content).drop(columns=_COLUMN), table.drop(columns=_COLUMN))
        with atomic_file(path) as temporary:
            temporary.write_bytes(new_content)
    return changed


def _cells(content: bytes) -> pd.DataFrame:
    return pd.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False)


def _csv(table: pd.DataFrame) -> bytes:
    return table.to_csv(index=False, lineterminator="\n").encode()


def main() -> None:
    reports = ROOT / "reports"
    files = {path: path.with_name(EXPERIMENT) for path in sorted(reports.glob(f"*/{RESULTS}"))}
    files[reports / "baselines/smoke.csv"] = ROOT / "experiments/smoke.yaml"
    by_file = {path: hashes_of(experiments.load(settings)) for path, settings in files.items()}
    by_file[reports / f"{LEADERBOARD}.csv"] = {old: new for hashes in by_file.values() for old, new in hashes.items()}
    for path, hashes in by_file.items():
        print(f"{path.relative_to(ROOT)}: {rehash(path, hashes)} rows changed")


if __name__ == "__main__":
    main()
