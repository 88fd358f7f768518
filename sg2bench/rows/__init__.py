"""The result table: one value per row, with everything it depends on. Does not import torch."""

from sg2bench.rows.claims import judge_claims
from sg2bench.rows.columns import COLUMNS, COUNT, HASH, LARGEST, OF_A_MODEL, OF_A_VALUE, ROW_KEY, refuse_bad_label
from sg2bench.rows.effects import measure_effects
from sg2bench.rows.io import may_replace, read, read_unchecked, write
from sg2bench.rows.mixtures import refuse_earlier_values, refuse_mixture
from sg2bench.rows.select import (
    averaged_steps,
    baseline,
    best_step,
    is_line,
    last_steps,
    metrics_and_modes,
    models,
    of_all_sources,
    of_half,
    of_pairs,
    of_targets,
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
    "averaged_steps",
    "baseline",
    "best_step",
    "commits",
    "days",
    "is_line",
    "judge_claims",
    "last_steps",
    "listed",
    "may_replace",
    "measure_effects",
    "metrics_and_modes",
    "models",
    "of_all_sources",
    "of_half",
    "of_pairs",
    "of_targets",
    "overall",
    "read",
    "read_unchecked",
    "refuse_bad_label",
    "refuse_earlier_values",
    "refuse_mixed_configurations",
    "refuse_mixture",
    "refuse_other_lines",
    "summarize",
    "write",
]
