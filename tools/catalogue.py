"""Write the table of metrics in docs/metrics.md from the catalogue: `python -m tools.catalogue`."""

from __future__ import annotations

from sg2bench.catalog import METRICS, PROTOCOLS, Metric
from tools.tables import ROOT, markdown, replace

PAGE = ROOT / "docs" / "metrics.md"


def table() -> str:
    """All that the catalogue says of each metric."""
    heads = ("metric", "better", "unit", "how to read it", "margin", *PROTOCOLS)
    return markdown(heads, map(_cells, METRICS.values()))


def _cells(metric: Metric) -> tuple[str, ...]:
    name = f"**`{metric.name}`**" if metric.default else f"`{metric.name}`"
    networks = (metric.extractor.get(protocol, "–") for protocol in PROTOCOLS)
    return name, metric.better, metric.unit, metric.reading, f"{metric.margin:.0%}", *networks


def main() -> None:
    PAGE.write_text(replace(PAGE.read_text(encoding="utf-8"), "catalogue", table()), encoding="utf-8")


if __name__ == "__main__":
    main()
