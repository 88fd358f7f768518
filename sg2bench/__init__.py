"""Measure what each part of StarGAN v2 contributes: training, ablations, metrics per domain, reports, a gate,
throughput.

Each job is a function: `ablate`, `evaluate`, `score`, `translate`, `write_report`, `check`; `plan` estimates what a
study will cost; `claims` and `effects` interpret result rows. See docs/python.md.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from sg2bench.version import __version__

if TYPE_CHECKING:
    from sg2bench.api import ablate, check, evaluate, score, translate, write_report
    from sg2bench.bench.forecast import plan
    from sg2bench.comparison import compare_blind, read_choices
    from sg2bench.report.answers import claims, effects
    from sg2bench.report.model_card import model_card

_MODULES = {
    **dict.fromkeys(("ablate", "check", "evaluate", "score", "translate", "write_report"), "sg2bench.api"),
    **dict.fromkeys(("claims", "effects"), "sg2bench.report.answers"),
    "model_card": "sg2bench.report.model_card",
    **dict.fromkeys(("compare_blind", "read_choices"), "sg2bench.comparison"),
    "plan": "sg2bench.bench.forecast",
}
__all__ = [
    "__version__",
    "ablate",
    "check",
    "claims",
    "compare_blind",
    "effects",
    "evaluate",
    "model_card",
    "plan",
    "read_choices",
    "score",
    "translate",
    "write_report",
]


def __getattr__(name: str) -> Any:
    """Import a function on first use."""
    if name not in _MODULES:
        raise AttributeError(f"module `sg2bench` has no `{name}`")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return __all__
