"""The gate, which makes CI fail when sample quality or speed drops. Does not import torch."""

from sg2bench.gate.quality import (
    INCONCLUSIVE,
    KEYS,
    PASS,
    REGRESSION,
    compare,
    compare_exactly,
    margins,
    update_baseline,
    verdict,
)
from sg2bench.gate.throughput import compare_throughput

__all__ = [
    "INCONCLUSIVE",
    "KEYS",
    "PASS",
    "REGRESSION",
    "compare",
    "compare_exactly",
    "compare_throughput",
    "margins",
    "update_baseline",
    "verdict",
]
