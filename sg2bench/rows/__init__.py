"""The result table: one value a row, with all that it depends on. Knows no torch."""

from sg2bench.rows.columns import COLUMNS, COUNT, HASH, LARGEST, OF_A_MODEL, OF_A_VALUE, ROW_KEY, refuse_bad_label
from sg2bench.rows.io import read, write
from sg2bench.rows.select import (
    best_step,
    is_line,
    last_steps,
    models,
    of_all_sources,
    of_half,
    overall,
    refuse_mixed_configurations,
    refuse_other_lines,
)
from sg2bench.rows.summary import commits, days, listed, summarize

__all__ = [
    "COLUMNS",
    "COUNT",
    "HASH",
    "LARGEST",
    "OF_A_MODEL",
    "OF_A_VALUE",
    "ROW_KEY",
    "best_step",
    "commits",
    "days",
    "is_line",
    "last_steps",
    "listed",
    "models",
    "of_all_sources",
    "of_half",
    "overall",
    "read",
    "refuse_bad_label",
    "refuse_mixed_configurations",
    "refuse_other_lines",
    "summarize",
    "write",
]
