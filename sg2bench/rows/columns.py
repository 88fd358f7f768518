"""The columns of a result table, and the form of their cells."""

from __future__ import annotations

import re

from sg2bench import csv_files, texts
from sg2bench.catalog import METRICS, PROTOCOLS, REFERENCE_LINES

COLUMNS = (
    *("experiment", "variant", "seed", "step", "mode", "source", "target", "metric"),
    *("value", "ci_low", "ci_high", "n_real", "n_fake", "outputs_per_source"),
    *("protocol", "protocol_hash", "extractor", "weights_sha256", "data_fingerprint", "config_hash"),
    *("device", "dtype", "torch_version", "sg2bench_version", "git_commit", "created_at"),
)
OF_A_MODEL = ["experiment", "variant", "config_hash", "step", "data_fingerprint"]
"""Columns that identify a model, whatever its seed."""
OF_A_VALUE = [*OF_A_MODEL, "seed", "protocol_hash", "mode", "metric"]
"""Columns that the rows of one metric of one model share: all pairs and their means."""
ROW_KEY = [*OF_A_VALUE, "source", "target"]

_NAME = texts.NAME, "a name of letters, digits, `_`, `.` and `-`"
_WHOLE = csv_files.WHOLE, "a whole number"
COUNT = r"[1-9][0-9]{0,17}(\.0)?", "a number of images"
HASH = "[0-9a-f]{16}", "16 hex digits"
TEXT = texts.PLAIN, "plain text on one line, not a spreadsheet formula"

OF_HALF = "(, (even|odd) sources)?"
"""Suffix of a protocol's name if only half of the sources were translated."""
NUMBERS = {
    **dict.fromkeys(("seed", "step"), _WHOLE),
    "value": (csv_files.NUMBER, "a number"),
    "ci_low": (f"({csv_files.NUMBER}|-inf)?", "a number, or nothing"),
    "ci_high": (rf"({csv_files.NUMBER}|\+?inf)?", "a number, or nothing"),
    **dict.fromkeys(("n_real", "n_fake"), COUNT),
    "outputs_per_source": (rf"({csv_files.WHOLE})?", "a whole number, or nothing"),
}
LARGEST = 1e30
"""Largest absolute value."""
WHOLE = ("seed", "step", "n_real", "n_fake")
FORMS = NUMBERS | {
    **dict.fromkeys(("experiment", "variant"), _NAME),
    "mode": ("latent|reference|none", "latent, reference or none"),
    **dict.fromkeys(("source", "target"), (rf"\*|{texts.DOMAIN}", f"a domain ({texts.DOMAIN_MEANING}), or * for all")),
    "metric": ("|".join(METRICS), f"one of {', '.join(METRICS)}"),
    "protocol": (
        f"({'|'.join(PROTOCOLS)}){OF_HALF}",
        f"one of {', '.join(PROTOCOLS)}, optionally followed by `, even sources` or `, odd sources`",
    ),
    **dict.fromkeys(("protocol_hash", "data_fingerprint", "config_hash"), HASH),
    "weights_sha256": (
        "([0-9a-f]{8}|[0-9a-f]{64})?",
        "64 hex digits, 8 if the publisher gives no more, or nothing if there are no weights",
    ),
    **dict.fromkeys(("extractor", "device", "dtype", "torch_version", "sg2bench_version", "git_commit"), TEXT),
    "created_at": (r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.+Z-]+", "a time such as 2026-01-31T12:00:00+00:00"),
}
"""Form of the cells, by column: a regular expression and its meaning."""


def refuse_bad_label(variant: str, seed: int) -> None:
    """Raise ValueError, before a long evaluation, for a variant or seed that rows may not have."""
    if variant in REFERENCE_LINES or not re.fullmatch(texts.NAME, variant):
        raise ValueError(
            f"--variant {variant!r}: expected up to 60 letters, digits, `_`, `.` and `-`, but not the name of a "
            f"reference line ({', '.join(REFERENCE_LINES)})"
        )
    if not 0 <= seed < 2**31:
        raise ValueError(f"--seed {seed}: expected a whole number from 0 to {2**31 - 1}")
