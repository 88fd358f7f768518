"""The gate on throughput: compare bench.csv with a baseline."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from sg2bench import csv_files, texts
from sg2bench.gate.quality import PASS, REGRESSION, listed, refuse_bad_share

_WHOLE = csv_files.WHOLE, "a whole number"
_WORD = "[a-z0-9_]{1,30}", "a word such as float32, channels_last or eager"
_NUMBERS = ["threads", "image_size", "parameters", "batch_size"]
_KEYS: csv_files.Forms = {
    "device": (rf"(?=.){texts.PLAIN}", "the name of a device"),
    **dict.fromkeys(_NUMBERS[:3], _WHOLE),
    **dict.fromkeys(("precision", "memory_format", "execution"), _WORD),
    "batch_size": _WHOLE,
}
SETTING = tuple(_KEYS)
"""Columns that identify a line of bench.csv."""
_RATE = "images_per_second"
_OTHERS = (
    *("clock_mhz", "ms_per_batch", "ms_iqr", "ms_p90", "ms_p99", "rounds", "outliers", "peak_mib"),
    *("gflop_per_image", "gflop_per_second", "flop_per_byte", "ceiling_gflop_per_second", "ceiling_gbyte_per_second"),
    *("torch_version", "sg2bench_version", "git_commit", "created_at"),
)
_SLOWEST, _FASTEST = 1e-9, 1e9


def compare_throughput(bench_file: Path, baseline_file: Path, slower: float) -> pd.DataFrame:
    """Compare images per second for each way to run the generator; a fall by more than a share is a `regression`.

    Raises ValueError if the two were measured on different devices, if a line of the baseline is missing, if a line is
    repeated, or if a rate is not a positive number.
    """
    refuse_bad_share("--bench", slower)
    new, old = (_bench_rows(path) for path in (bench_file, baseline_file))
    ours, theirs = set(new["device"]), set(old["device"])
    if ours != theirs:
        where = f"{listed(ours)} in {bench_file}, {listed(theirs)} in {baseline_file}"
        raise ValueError(f"device differs, so throughput cannot be compared: {where}")
    keys = list(_KEYS)
    table = old.set_index(keys)[[_RATE]].rename(columns={_RATE: "baseline"})
    table = table.join(new.set_index(keys)[_RATE])
    if (missing := table[_RATE].isna()).any():
        line = " / ".join(map(str, table.index[missing][0]))
        raise ValueError(f"{bench_file}: has no line {line}, which {baseline_file} has")
    table = table.reset_index().rename(columns={_RATE: "value"})
    table["worse_by"] = 1 - table["value"] / table["baseline"]
    table["margin"] = slower * table["baseline"]
    table["verdict"] = np.where(table["worse_by"] > slower, REGRESSION, PASS)
    return table


def _bench_rows(path: Path) -> pd.DataFrame:
    text = csv_files.read(path, "lines of sg2bench bench")
    hint = "these are result rows: compare them without --bench" if "metric" in text else ""
    csv_files.refuse_columns(path, text, [*_KEYS, _RATE], _OTHERS, hint or "give a bench.csv of this version")
    if text.empty:
        raise ValueError(f"{path}: holds no lines")
    csv_files.refuse_cells(path, text, _KEYS)
    rate = pd.to_numeric(text[_RATE].where(text[_RATE].str.fullmatch(csv_files.NUMBER)))
    csv_files.refuse(
        path, text, ~rate.between(_SLOWEST, _FASTEST), f"{_RATE} is not a positive number, up to {_FASTEST:g}"
    )
    table = text.astype(dict.fromkeys(_NUMBERS, float)).astype(dict.fromkeys(_NUMBERS, int)).assign(**{_RATE: rate})
    csv_files.refuse(path, table, table.duplicated(list(_KEYS)), "this line repeats an earlier one")
    return table
