"""The gate on throughput: bench.csv against a baseline's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from sg2bench.gate.quality import PASS, REGRESSION, listed, refuse_nan

_BENCH_KEYS = (
    *("device", "threads", "image_size", "parameters"),
    *("precision", "memory_format", "execution", "batch_size"),
)


def compare_throughput(bench_file: Path, baseline_file: Path, slower: float) -> pd.DataFrame:
    """Images per second of each way to run the generator: a `regression` where they fell by more than a share.

    Raises ValueError if the two were measured on different devices, if a line of the baseline is missing, or if a rate
    is no positive number.
    """
    refuse_nan("--bench", slower)
    new, old = (_bench_rows(path) for path in (bench_file, baseline_file))
    ours, theirs = set(new["device"]), set(old["device"])
    if ours != theirs:
        where = f"{listed(ours)} in {bench_file}, {listed(theirs)} in {baseline_file}"
        raise ValueError(f"device differs, and such times cannot be compared: {where}")
    keys = list(_BENCH_KEYS)
    table = old.set_index(keys)[["images_per_second"]].rename(columns={"images_per_second": "baseline"})
    table = table.join(new.set_index(keys)["images_per_second"])
    if (missing := table["images_per_second"].isna()).any():
        raise ValueError(f"{bench_file}: has no line {table.index[missing][0]}, which {baseline_file} has")
    table = table.reset_index().rename(columns={"images_per_second": "value"})
    table["worse_by"] = 1 - table["value"] / table["baseline"]
    table["verdict"] = np.where(table["worse_by"] > slower, REGRESSION, PASS)
    return table


def _bench_rows(path: Path) -> pd.DataFrame:
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: not a bench.csv: {error}") from None
    if missing := {*_BENCH_KEYS, "images_per_second"} - set(table.columns):
        raise ValueError(f"{path}: column {', '.join(sorted(missing))} is missing; give a bench.csv of this version")
    rate = pd.to_numeric(table["images_per_second"], errors="coerce")
    if (bad := ~((rate > 0) & np.isfinite(rate))).any():
        raise ValueError(f"{path}: line {table.index[bad][0] + 2}: images_per_second is not a positive number")
    return table.assign(images_per_second=rate)
