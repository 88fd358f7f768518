"""The HTML page of a report, a single self-contained file."""

from __future__ import annotations

import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pandas as pd

from sg2bench import yaml_files
from sg2bench.report import figures, html, variants
from sg2bench.report.figures import Picture, Plots
from sg2bench.report.lead import Lead
from sg2bench.report.steps import Training
from sg2bench.rows import baseline, of_pairs
from sg2bench.rows import models as models_of

_MOST_PAIRS = 2000
"""Largest number of rows in the page's table of pairs."""
_PLAIN_BYTES, _EMBEDDED_BYTES = 20_000, 200_000
"""A file larger than the first is compressed; if it is still larger than the second, it is linked."""


@dataclass(frozen=True)
class Download:
    """A file of the report: embedded as it is, embedded compressed, or linked, depending on its size."""

    file: Path

    @cached_property
    def compressed(self) -> bytes:
        """Return the compressed content; empty for a small file."""
        plain = self.file.read_bytes()
        return gzip.compress(plain, mtime=0) if len(plain) > _PLAIN_BYTES else b""

    @property
    def embedded(self) -> bool:
        return len(self.compressed) <= _EMBEDDED_BYTES

    @property
    def name(self) -> str:
        return f"{self.file.name}.gz" if self.compressed and self.embedded else self.file.name

    @property
    def address(self) -> str:
        if not self.embedded:
            return self.file.name
        if self.compressed:
            return html.data_uri("application/gzip", self.compressed)
        kind = "text/csv" if self.file.suffix == ".csv" else "text/yaml"
        return html.data_uri(kind, self.file.read_bytes())


def render(
    table: pd.DataFrame,
    effects: pd.DataFrame,
    folded: str,
    missing: str,
    lead: Lead | None,
    examples: Picture | None,
    grids: Sequence[Picture],
    plots: Sequence[Plots],
    training: Training | None,
    curves: Sequence[Picture],
    downloads: Sequence[Path],
    command: str,
    experiment: str,
) -> str:
    """Return the page as text. `experiment` is the YAML to show, or empty; `folded` says what pictures
    leave out, `missing` which runs have no rows.
    """
    by_pair = variants.in_order(models_of(table), variants.order(table))
    by_pair = of_pairs(by_pair)
    pairs = by_pair.groupby(["metric", "mode", "variant", "source", "target"], sort=False)["value"]
    means = pairs.agg(["mean", "std", "count"])
    return html.template("report.html.jinja").render(
        experiment=table["experiment"].iloc[0],
        folded=folded,
        lead=lead,
        baseline=baseline(table),
        tables=variants.tables(table, effects),
        caption=f"{missing} {variants.caption(table)}".strip(),
        examples=examples,
        grids=grids,
        plots=plots,
        training=training,
        curves=curves,
        number_of_pairs=len(means),
        pairs=[
            (*key, variants.spread(mean, deviation), int(count))
            for key, mean, deviation, count in means.head(_MOST_PAIRS).itertuples(name=None)
        ],
        provenance=provenance(table),
        downloads=[Download(file) for file in downloads],
        command=command,
        configuration=experiment,
        description=(yaml_files.parse(experiment) or {}).get("description", ""),
    )


def provenance(table: pd.DataFrame) -> dict[str, str]:
    """Return the provenance of the rows by name, with all values where rows differ."""
    models = models_of(table)

    def all_of(rows: pd.DataFrame, *columns: str) -> str:
        found = rows[list(columns)].drop_duplicates().itertuples(index=False, name=None)
        return "; ".join(" ".join(map(str, each)).strip() or "none" for each in found)

    return {
        "Experiment": all_of(table, "experiment"),
        "Protocol and its hash": f"{all_of(table, 'protocol')} {variants.hashes(table)}",
        "Extractor and SHA-256 of its weights": all_of(table, "extractor", "weights_sha256"),
        "Fingerprint of the images": all_of(table, "data_fingerprint"),
        "Counts": figures.counts(table),
        "Seeds": all_of(models.astype({"seed": int}), "seed"),
        "Steps": all_of(models.astype({"step": int}), "step"),
        "Device": all_of(table, "device"),
        "Data type": all_of(table, "dtype"),
        "torch": all_of(table, "torch_version"),
        "sg2bench": all_of(table, "sg2bench_version"),
        "Commit of sg2bench": all_of(table, "git_commit"),
        "Made": " to ".join(sorted({table["created_at"].min(), table["created_at"].max()})),
    }
