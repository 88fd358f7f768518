"""The size of a page, which people send by mail."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from sg2bench import rows as row_table
from sg2bench.catalog import default_metrics
from sg2bench.layout import grid_file
from sg2bench.report import figures, write
from tests.tables import study

VARIANTS = ("full", "a", "b", "c", "d", "e")
PICTURES = {"latent": (9, 7, 2), "reference": (10, 7, 2), "examples": (8, 4, 1), "neighbours": (8, 4, 2)}
"""Tiles across and down, and how often they are enlarged: what runs of three domains draw at 32 px."""


def noise(across, down, enlarged, rng):
    """Outputs as hard to compress as those of an unfinished training."""
    levels = rng.normal(128, 8, (32 * down, 32 * across, 3)).clip(0, 255).astype(np.uint8)
    return Image.fromarray(levels.repeat(enlarged, 0).repeat(enlarged, 1))


@pytest.fixture
def _one_heatmap(monkeypatch):
    """Those of all metrics are about as large; each takes a second to draw."""
    draw, drawn = figures._by_pair, []

    def the_first(*arguments):
        drawn.append(drawn[0] if drawn else draw(*arguments))
        return drawn[0]

    monkeypatch.setattr(figures, "_by_pair", the_first)


@pytest.mark.usefixtures("_one_heatmap")
def test_a_page_of_six_variants_with_all_metrics_is_below_three_megabytes(tmp_path):
    rng = np.random.default_rng(0)
    assert len(default_metrics("offline")) >= 15
    row_table.write(study(VARIANTS, range(5)), tmp_path / "in/results.csv")
    (tmp_path / "in/grids").mkdir()
    inputs = noise(8, 3, 1, rng)
    curves = []
    for variant in VARIANTS:
        for picture, size in PICTURES.items():
            image = noise(*size, rng)
            if picture == "examples":
                image.paste(inputs)
            image.save(tmp_path / "in" / grid_file(variant, picture))
        for seed in range(5):
            terms = {f"g_{mode}/{term}": rng.random(36) for mode in ("latent", "reference") for term in "abcdefg"}
            curves.append(pd.DataFrame({"step": range(10, 370, 10), **terms, "variant": variant, "seed": seed}))
    pd.concat(curves).to_csv(tmp_path / "in/curves.csv", index=False, float_format="%.6g")
    page = write.write(tmp_path / "in/results.csv", tmp_path / "out", "x")
    assert page.stat().st_size < 3e6
