"""The result table: one value a row, with all that it depends on. Knows no torch."""

from sg2bench.rows.columns import COLUMNS, COUNT, HASH, LARGEST, OF_A_MODEL, OF_A_VALUE, ROW_KEY
from sg2bench.rows.io import read, write
from sg2bench.rows.select import is_line, last_steps, models, overall, refuse_mixed_configurations
from sg2bench.rows.summary import summarize

__all__ = [
    "COLUMNS",
    "COUNT",
    "HASH",
    "LARGEST",
    "OF_A_MODEL",
    "OF_A_VALUE",
    "ROW_KEY",
    "is_line",
    "last_steps",
    "models",
    "overall",
    "read",
    "refuse_mixed_configurations",
    "summarize",
    "write",
]
