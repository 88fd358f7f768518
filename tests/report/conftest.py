from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from sg2bench import rows as row_table
from sg2bench.evaluation.values import tabulate
from sg2bench.report import figures
from tests.tables import LINES, table


@pytest.fixture
def rows(tiny):
    """Two variants, two seeds: no_ds is better by 10 on fd_alexnet and less diverse by 0.1 for each seed."""
    parts = [table(tiny, "full", seed, seed) for seed in (0, 1)]
    for seed in (0, 1):
        other = table(tiny, "no_ds", seed, seed)
        other["value"] += np.where(other["metric"] == "lpips", -0.1, -10)
        parts.append(other)
    lines = [tabulate(v, tiny, name, 0, 0, "f" * 16, torch.device("cpu"), "c" * 16) for name, v in LINES.items()]
    return pd.concat([*parts, *lines], ignore_index=True)


@pytest.fixture
def folder(rows, tmp_path):
    row_table.write(rows, tmp_path / "in/results.csv")
    curves = pd.DataFrame({"step": [1, 2] * 2, "ds_weight": 1.0, "g_latent/adv": [3.0, 2, 3, 1]})
    curves.assign(variant=["full"] * 2 + ["no_ds"] * 2, seed=0).to_csv(tmp_path / "in/curves.csv", index=False)
    (tmp_path / "in/grids").mkdir()
    (tmp_path / "in/experiment.yaml").write_text("# Made by: sg2bench ablate x\ndescription: What <b> buys.\n")
    Image.new("RGB", (64, 64)).save(tmp_path / "in/grids/full-latent.png")
    return tmp_path


@pytest.fixture
def without_plots(monkeypatch):
    """Reports without the plots of metrics, which take most of the time."""
    monkeypatch.setattr(figures, "plots_of", lambda *_: [])
