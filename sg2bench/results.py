"""The result row: one value a row, with all that it depends on; rows in and out of CSV; summaries over seeds."""

from __future__ import annotations

import datetime
import functools
import subprocess
from collections.abc import Sequence
from pathlib import Path

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
_NUMBERS = ("seed", "step", "value", "ci_low", "ci_high", "n_real", "n_fake", "outputs_per_source")
BETTER = dict.fromkeys(("lpips", "precision", "recall", "density", "coverage"), "higher")
"""Which way is better; a distance, as every metric not named here, is better lower."""
OF_A_MODEL = ["experiment", "variant", "config_hash", "step", "protocol_hash", "data_fingerprint"]
"""What rows of one trained model, and of the others of its seeds, have in common."""
_OF_A_VALUE = [*OF_A_MODEL, "seed", "mode", "metric"]
ROW_KEY = [*_OF_A_VALUE, "source", "target"]

_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,59}", "a name of letters, digits, `_`, `.` and `-`"
_NUMBER = r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?"
_WHOLE, _COUNT = (r"\d+", "a whole number"), (r"[1-9]\d*(\.0)?", "a number of images")
_FORMS = {
    **dict.fromkeys(("experiment", "variant"), _NAME),
    **dict.fromkeys(("seed", "step"), _WHOLE),
    "mode": ("latent|reference|none", "latent, reference or none"),
    **dict.fromkeys(("source", "target"), (".+", "a domain, or * for all")),
    "metric": ("|".join(ALL_METRICS), f"one of {', '.join(ALL_METRICS)}"),
    "value": (_NUMBER, "a number"),
    **dict.fromkeys(("ci_low", "ci_high"), (f"({_NUMBER}|[-+]?inf)?", "a number, or nothing")),
    **dict.fromkeys(("n_real", "n_fake"), _COUNT),
    "protocol": ("|".join(METRICS), f"one of {', '.join(METRICS)}"),
    **dict.fromkeys(("protocol_hash", "data_fingerprint", "config_hash"), ("[0-9a-f]{16}", "16 hex digits")),
    "weights_sha256": ("[0-9a-f]{64}", "64 hex digits"),
    "created_at": (r"\d{4}-\d\d-\d\dT.+", "a time such as 2026-01-31T12:00:00+00:00"),
}
"""What others' rows must look like, by column: a regular expression and what it means."""
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
    """Result rows from CSV. Raises ValueError that names the file and the missing column or the bad line."""
    try:
        table = pd.read_csv(
            path,
            dtype={c: str for c in COLUMNS if c not in _NUMBERS},
            keep_default_na=False,
            na_values={c: [""] for c in _NUMBERS},
        )
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, OSError) as error:
        raise ValueError(f"{path}: not a CSV of result rows: {error}") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    if missing := [column for column in COLUMNS if column not in table.columns]:
        raise ValueError(f"{path}: column {', '.join(missing)} is missing; result rows have {', '.join(COLUMNS)}")
    if table.empty:
        raise ValueError(f"{path}: holds no rows")
    number = pd.to_numeric(table["value"], errors="coerce")
    if number.isna().any():
        line = int(number.isna().to_numpy().argmax()) + 2
        raise ValueError(f"{path}: line {line}: value is {table['value'].iloc[line - 2]!r}, not a number")
    return table.assign(value=number)[list(COLUMNS)]


def validated(path: Path) -> pd.DataFrame:
    """Rows as text, for rows whose origin is not known: each cell has the form that `rows` gives it, no row is there
    twice, and a model's overall values are the means of their pairs'.

    Raises ValueError that names the file and the line of the first row that is not so.
    """
    read(path)
    table = pd.read_csv(path, dtype=str, keep_default_na=False)[list(COLUMNS)]

    def refuse(bad: pd.Series[bool], why: str) -> None:
        if bad.any():
            place = int(bad.to_numpy().argmax())
            raise ValueError(f"{path}: line {place + 2}: {why.format(**table.iloc[place])}")

    for column, (form, meaning) in _FORMS.items():
        refuse(~table[column].str.fullmatch(form), f"{column} is `{{{column}}}`, expected {meaning.replace('{', '{{')}")
    refuse(table.duplicated(ROW_KEY), "this row is in the file already, further up")
    values = table.assign(value=table["value"].astype(float))
    pairs = values[table["source"] != "*"].groupby(_OF_A_VALUE)["value"].mean().rename("mean")
    means = values.join(pairs, on=_OF_A_VALUE)["mean"]
    overall = (table["source"] == "*") & (table["target"] == "*") & ~table["variant"].isin(REFERENCE_LINES)
    refuse(overall & means.isna(), "the overall {metric} is of no pairs")
    off = ~np.isclose(values["value"], means, rtol=_MEAN_TOLERANCE, atol=1e-9)
    refuse(overall & off, "the overall {metric}, {value}, is not the mean of its pairs")
    return table


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
