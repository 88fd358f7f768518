"""The result row: one value a row, with all that it depends on; rows in and out of CSV; summaries over seeds."""

from __future__ import annotations

import datetime
import functools
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

import sg2bench
from sg2bench import cache
from sg2bench.config import ALL_METRICS, METRICS, REFERENCE_LINES, Experiment
from sg2bench.evaluation.evaluate import Value
from sg2bench.evaluation.protocol import WEIGHTS, Protocol

COLUMNS = (
    *("experiment", "variant", "seed", "step", "mode", "source", "target", "metric"),
    *("value", "ci_low", "ci_high", "n_real", "n_fake", "outputs_per_source"),
    *("protocol", "protocol_hash", "extractor", "weights_sha256", "data_fingerprint", "config_hash"),
    *("device", "dtype", "torch_version", "sg2bench_version", "git_commit", "created_at"),
)
BETTER = dict.fromkeys(("lpips", "precision", "recall", "density", "coverage"), "higher")
"""Which way is better; a distance, as every metric not named here, is better lower."""
OF_A_MODEL = ["experiment", "variant", "config_hash", "step", "protocol_hash", "data_fingerprint"]
"""What rows of one trained model, and of the others of its seeds, have in common."""
_OF_A_VALUE = [*OF_A_MODEL, "seed", "mode", "metric"]
ROW_KEY = [*_OF_A_VALUE, "source", "target"]

_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,59}", "a name of letters, digits, `_`, `.` and `-`"
_NUMBER = r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?"
_WHOLE, _COUNT = (r"[0-9]+(\.0)?", "a whole number"), (r"[1-9][0-9]*(\.0)?", "a number of images")
_HASH = "[0-9a-f]{16}", "16 hex digits"
_TEXT = r"[^\x00-\x1f`<>|\[\]]*", "plain text on one line, without ` < > | [ ]"
_NUMBERS = {
    **dict.fromkeys(("seed", "step"), _WHOLE),
    "value": (_NUMBER, "a number"),
    **dict.fromkeys(("ci_low", "ci_high"), (f"({_NUMBER}|[-+]?inf)?", "a number, or nothing")),
    **dict.fromkeys(("n_real", "n_fake"), _COUNT),
    "outputs_per_source": (rf"({_WHOLE[0]})?", "a whole number, or nothing"),
}
_FORMS = _NUMBERS | {
    **dict.fromkeys(("experiment", "variant"), _NAME),
    "mode": ("latent|reference|none", "latent, reference or none"),
    **dict.fromkeys(("source", "target"), (_TEXT[0][:-1] + "+", "a domain, or * for all")),
    "metric": ("|".join(ALL_METRICS), f"one of {', '.join(ALL_METRICS)}"),
    "protocol": ("|".join(METRICS), f"one of {', '.join(METRICS)}"),
    **dict.fromkeys(("protocol_hash", "data_fingerprint", "config_hash"), _HASH),
    "weights_sha256": ("[0-9a-f]{64}", "64 hex digits"),
    **dict.fromkeys(("extractor", "device", "dtype", "torch_version", "sg2bench_version", "git_commit"), _TEXT),
    "created_at": (r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.+Z-]+", "a time such as 2026-01-31T12:00:00+00:00"),
}
"""What cells look like, by column: a regular expression and what it means."""
_MAY_BE_NEGATIVE = ("kid", "kd_alexnet")
_MEAN_TOLERANCE = 1e-4


def rows(
    values: Sequence[Value],
    experiment: Experiment,
    variant: str,
    seed: int,
    step: int,
    data_fingerprint: str,
    device: torch.device,
    config_hash: str,
    image_size: int | None = None,
) -> pd.DataFrame:
    """Rows of a resolved experiment's values; `config_hash` tells how the model was made, `image_size` the size of
    its images where that is not the model's of the experiment.
    """
    protocol = Protocol(experiment.evaluate, image_size or experiment.model.image_size)
    shared = {
        "experiment": experiment.name,
        "variant": variant,
        "seed": seed,
        "step": step,
        "outputs_per_source": None if variant in REFERENCE_LINES else experiment.evaluate.outputs_per_source,
        "protocol": protocol.name,
        "protocol_hash": protocol.hash,
        "data_fingerprint": data_fingerprint,
        "config_hash": config_hash,
        "device": device_name(device),
        "dtype": "float32",
        "torch_version": torch.__version__,
        "sg2bench_version": sg2bench.__version__,
        "git_commit": git_commit(),
        "created_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
    table = [
        shared
        | vars(value)
        | {"value": value.value, "ci_low": low, "ci_high": high}
        | {"extractor": extractor, "weights_sha256": WEIGHTS[extractor].sha256}
        for value in values
        for extractor in [protocol.extractor(value.metric)]
        for low, high in [value.estimate.interval()]
    ]
    return pd.DataFrame(table, columns=COLUMNS)


def write(table: pd.DataFrame, path: Path) -> None:
    with cache.atomic_file(path) as temporary:
        table.to_csv(temporary, index=False)


def read(path: Path) -> pd.DataFrame:
    """Result rows from CSV. Raises ValueError that names the file and what is missing, or its first line with a number
    that is none, or that is there twice.
    """
    table = _numbers(_checked(path, _text(path), _NUMBERS))
    _refuse(path, table, table.duplicated(ROW_KEY), "this row is in the file already, further up")
    return table.reset_index(drop=True)


def validated(path: Path, with_pairs: bool = True) -> pd.DataFrame:
    """Rows for which nobody vouches: each cell has the form that `rows` gives it, no row is there twice, a model's rows
    have a mode, and its means over pairs are just that (not looked at unless `with_pairs`). May have more columns.

    Raises ValueError that names the file and the line of the first row that is not so.
    """
    table = _numbers(_checked(path, _text(path), _FORMS))
    is_line = table["variant"].isin(REFERENCE_LINES)
    negative = (table["value"] < 0) & ~table["metric"].isin(_MAY_BE_NEGATIVE)
    for bad, why in (
        (table.duplicated(ROW_KEY), "this row is in the file already, further up"),
        (negative, "this metric cannot be negative"),
        (~is_line & (table["mode"] == "none"), "only reference lines have the mode none"),
        (~is_line & (table["source"] != "*") & (table["target"] == "*"), "a mean over targets is no row"),
    ):
        _refuse(path, table, bad, why)
    pairs = table[(table["source"] != "*") & ~is_line]
    for keys, part in (
        ([*_OF_A_VALUE, "target"], (table["source"] == "*") & (table["target"] != "*") & ~is_line),
        (_OF_A_VALUE, (table["source"] == "*") & (table["target"] == "*") & ~is_line),
    ):
        if with_pairs:
            means = table[part].join(pairs.groupby(keys)["value"].mean().rename("mean"), on=keys)
            off = ~np.isclose(means["value"], means["mean"], rtol=_MEAN_TOLERANCE, atol=1e-9)
            _refuse(path, means, off, "its value is not the mean of its pairs'")
    return table


def _text(path: Path) -> pd.DataFrame:
    """All cells as they are, without blank lines; the index counts the file's lines, so that line 2 is 0."""
    try:
        table = pd.read_csv(
            path, dtype=str, keep_default_na=False, index_col=False, skip_blank_lines=False, encoding="utf-8-sig"
        )
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file") from None
    except (ValueError, OSError) as error:
        raise ValueError(f"{path}: not a CSV of result rows: {error}") from None
    if missing := [column for column in COLUMNS if column not in table.columns]:
        raise ValueError(f"{path}: column {', '.join(missing)} is missing; result rows have {', '.join(COLUMNS)}")
    table = table.fillna("")[(table.fillna("") != "").any(axis=1)]
    if table.empty:
        raise ValueError(f"{path}: holds no rows")
    return table


def _checked(path: Path, table: pd.DataFrame, forms: Mapping[str, tuple[str, str]]) -> pd.DataFrame:
    for column, (form, meaning) in forms.items():
        bad = ~table[column].str.fullmatch(form)
        if bad.any():
            _refuse(path, table, bad, f"{column} is {table[column][bad].iloc[0]!r}, expected {meaning}")
    _refuse(path, table, ~np.isfinite(table["value"].astype(float)), "the value is too large")
    return table


def _numbers(table: pd.DataFrame) -> pd.DataFrame:
    """Cells of checked rows as numbers, whole ones as such."""
    numbers = {column: pd.to_numeric(table[column]) for column in _NUMBERS}
    return table.assign(**numbers).astype(dict.fromkeys(("seed", "step", "n_real", "n_fake"), int))


def _refuse(path: Path, table: pd.DataFrame, bad: Any, why: str) -> None:
    if bad.any():
        raise ValueError(f"{path}: line {table.index[bad][0] + 2}: {why}")


def summarize(table: pd.DataFrame) -> pd.DataFrame:
    """The overall value by variant, metric and mode: mean, standard deviation and n over seeds, in order of appearance.

    The standard deviation (n - 1) is empty for one seed.
    """
    overall = table[(table["source"] == "*") & (table["target"] == "*")]
    keys = ["experiment", "variant", "metric", "mode", "protocol", "protocol_hash", "data_fingerprint"]
    groups = overall.groupby(keys, sort=False, dropna=False)["value"]
    return groups.agg(mean="mean", sd="std", n="count").reset_index()


def better(metric: str) -> str:
    """`higher` or `lower`."""
    return BETTER.get(metric, "lower")


def device_name(device: torch.device) -> str:
    """The device as a row names it: the GPU's name, or `cpu` with the processor's."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu ({processor()})"


@functools.cache
def processor() -> str:
    from cpuinfo import get_cpu_info  # noqa: PLC0415 (pytest-benchmark brings it; it takes a second)

    return str(get_cpu_info().get("brand_raw", "unknown"))


def git_commit() -> str:
    """The commit of this code, with `+` where tracked files differ from it; empty if it was installed without git."""
    here = Path(__file__)

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(here.parent), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", here.name)
        return git("rev-parse", "--short=12", "HEAD") + "+" * bool(git("status", "--porcelain", "-uno", "."))
    except (subprocess.CalledProcessError, OSError):
        return ""
