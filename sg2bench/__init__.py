"""What each part of StarGAN v2 contributes: training, ablations, metrics per domain, reports, a gate, throughput.

Each job is a function: `ablate`, `evaluate`, `score`, `translate`, `write_report`, `check`; and `claims` and `effects`
read what rows say. See docs/python.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sg2bench.version import __version__

if TYPE_CHECKING:
    from sg2bench.api import ablate, check, evaluate, score, translate, write_report
    from sg2bench.report.answers import claims, effects

__all__ = ["__version__", "ablate", "check", "claims", "effects", "evaluate", "score", "translate", "write_report"]


def __getattr__(name: str) -> Any:
    """The functions of `api` and `report.answers`, imported when they are asked for."""
    if name not in __all__:
        raise AttributeError(f"module `sg2bench` has no `{name}`")
    if name in ("claims", "effects"):
        from sg2bench.report import answers  # noqa: PLC0415

        return getattr(answers, name)
    from sg2bench import api  # noqa: PLC0415

    return getattr(api, name)


def __dir__() -> list[str]:
    return __all__
