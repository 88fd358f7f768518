"""Write the table of metrics in docs/metrics.md from the catalogue: `python -m tools.catalogue`."""

from __future__ import annotations

from typing import get_args

from sg2bench import texts
from sg2bench.catalog import METRICS, PROTOCOLS, QUESTIONS, Metric, Need
from tools.tables import ROOT, replace

PAGE = ROOT / "docs" / "metrics.md"


def table() -> str:
    """Return the catalogue's entries as Markdown, one table per question."""
    heads = ("metric", "better", "what it is", "how to read it", "needs", "modes", "compared by", "margin", *PROTOCOLS)
    parts = []
    for question, meaning in QUESTIONS.items():
        metrics = [metric for metric in METRICS.values() if metric.question == question]
        parts += [f"**{question.capitalize()}:** {meaning}.", texts.markdown_table(heads, map(_cells, metrics))]
    return "\n\n".join(parts)


def _cells(metric: Metric) -> tuple[str, ...]:
    name = f"**`{metric.name}`**" if metric.default else f"`{metric.name}`"
    needs = ", ".join(need for need in get_args(Need) if need in metric.needs)
    margin = f"{metric.margin:g}" if metric.absolute else f"{metric.margin:.0%}"
    networks = (metric.extractor.get(protocol, "–") for protocol in PROTOCOLS)
    modes, scale = ", ".join(metric.modes), "ratio" if metric.by_ratio else "difference"
    return name, metric.better, metric.definition, metric.reading, needs, modes, scale, margin, *networks


def main() -> None:
    PAGE.write_text(replace(PAGE.read_text(encoding="utf-8"), "catalogue", table()), encoding="utf-8")


if __name__ == "__main__":
    main()
