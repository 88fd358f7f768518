"""The columns of a result table, and what their cells look like."""

from __future__ import annotations

from sg2bench.catalog import METRICS, PROTOCOLS

COLUMNS = (
    *("experiment", "variant", "seed", "step", "mode", "source", "target", "metric"),
    *("value", "ci_low", "ci_high", "n_real", "n_fake", "outputs_per_source"),
    *("protocol", "protocol_hash", "extractor", "weights_sha256", "data_fingerprint", "config_hash"),
    *("device", "dtype", "torch_version", "sg2bench_version", "git_commit", "created_at"),
)
OF_A_MODEL = ["experiment", "variant", "config_hash", "step", "data_fingerprint"]
"""What rows of one trained model, and of the others of its seeds, have in common."""
OF_A_VALUE = [*OF_A_MODEL, "seed", "protocol_hash", "mode", "metric"]
"""What the rows of one metric of one model, for all pairs and their means, have in common."""
ROW_KEY = [*OF_A_VALUE, "source", "target"]

_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,59}", "a name of letters, digits, `_`, `.` and `-`"
_NUMBER = r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?"
_WHOLE, _COUNT = (r"[0-9]{1,18}(\.0)?", "a whole number"), (r"[1-9][0-9]{0,17}(\.0)?", "a number of images")
_HASH = "[0-9a-f]{16}", "16 hex digits"
_TEXT = r"[^\x00-\x1f`<>|\[\]]*", "plain text on one line, without ` < > | [ ]"

NUMBERS = {
    **dict.fromkeys(("seed", "step"), _WHOLE),
    "value": (_NUMBER, "a number"),
    **dict.fromkeys(("ci_low", "ci_high"), (f"({_NUMBER}|[-+]?inf)?", "a number, or nothing")),
    **dict.fromkeys(("n_real", "n_fake"), _COUNT),
    "outputs_per_source": (rf"({_WHOLE[0]})?", "a whole number, or nothing"),
}
WHOLE = ("seed", "step", "n_real", "n_fake")
FORMS = NUMBERS | {
    **dict.fromkeys(("experiment", "variant"), _NAME),
    "mode": ("latent|reference|none", "latent, reference or none"),
    **dict.fromkeys(("source", "target"), (_TEXT[0][:-1] + "+", "a domain, or * for all")),
    "metric": ("|".join(METRICS), f"one of {', '.join(METRICS)}"),
    "protocol": ("|".join(PROTOCOLS), f"one of {', '.join(PROTOCOLS)}"),
    **dict.fromkeys(("protocol_hash", "data_fingerprint", "config_hash"), _HASH),
    "weights_sha256": ("[0-9a-f]{8}|[0-9a-f]{64}", "64 hex digits, or the 8 that a publisher gives"),
    **dict.fromkeys(("extractor", "device", "dtype", "torch_version", "sg2bench_version", "git_commit"), _TEXT),
    "created_at": (r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.+Z-]+", "a time such as 2026-01-31T12:00:00+00:00"),
}
"""What cells look like, by column: a regular expression and what it means."""
