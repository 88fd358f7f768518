from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from sg2bench import results
from sg2bench.evaluation.evaluate import Value
from sg2bench.evaluation.uncertainty import Estimate
from sg2bench.report import leaderboard, plots, report
from tests.test_results import table

LINES = {
    "real": [Value("none", "*", "*", "fd_alexnet", Estimate(1.5, {"val/cat": np.array([0.5, -0.5])}), 6, 4)],
    "sources": [Value("none", "*", "*", "fd_alexnet", Estimate(90.0, {"val/cat": np.array([0.5, -0.5])}), 6, 4)],
}


@pytest.fixture
def rows(tiny):
    """Two variants, two seeds: no_ds is better by 10 on fd_alexnet and less diverse by 0.1 for each seed."""
    parts = [table(tiny, "full", seed, seed) for seed in (0, 1)]
    for seed in (0, 1):
        other = table(tiny, "no_ds", seed, seed)
        other["value"] += np.where(other["metric"] == "lpips", -0.1, -10)
        parts.append(other)
    lines = [results.rows(v, tiny, name, 0, 0, "f" * 16, torch.device("cpu"), "c" * 16) for name, v in LINES.items()]
    return pd.concat([*parts, *lines], ignore_index=True)


@pytest.fixture
def folder(rows, tmp_path):
    results.write(rows, tmp_path / "in/results.csv")
    curves = pd.DataFrame({"step": [1, 2] * 2, "ds_weight": 1.0, "g_latent/adv": [3.0, 2, 3, 1]})
    curves.assign(variant=["full"] * 2 + ["no_ds"] * 2, seed=0).to_csv(tmp_path / "in/curves.csv", index=False)
    (tmp_path / "in/grids").mkdir()
    (tmp_path / "in/experiment.yaml").write_text("# Made by: sg2bench ablate x\ndescription: What <b> buys.\n")
    Image.new("RGB", (64, 64)).save(tmp_path / "in/grids/full-latent.png")
    return tmp_path


def test_leaderboard_ranks_and_pairs_by_seed(rows):
    header, body = leaderboard.leaderboard(rows)
    assert header == ["variant", "fd_alexnet latent ↓", "lpips latent ↑", "seeds"]
    assert body[0] == ["no_ds", "40.50 ± 0.7071 (-10.00 ± 0.0000)", "0.6500 ± 0.7071 (-0.1000 ± 0.0000)", "2"]
    assert body[1] == ["full", "50.50 ± 0.7071", "0.7500 ± 0.7071", "2"]
    assert body[2][:3] == ["*real validation images*", "1.50", "–"]
    assert body[3][1] == "90.00"


def test_caption_says_what_the_numbers_are(rows):
    caption = leaderboard.caption(rows)
    for part in ("seeds (0, 1)", "4 steps", "4 outputs (2 a source)", "6 training images", "offline", "torch "):
        assert part in caption


def test_report_folder(folder):
    page = report.write(folder / "in/results.csv", folder / "out", "the command")
    found = {path.relative_to(folder / "out").as_posix() for path in (folder / "out").rglob("*.*")}
    assert found == {
        *("results.csv", "summary.csv", "curves.csv", "leaderboard.md", "report.html", "curves.png", "experiment.yaml"),
        *("fd_alexnet.png", "fd_alexnet-by-target.png", "lpips.png", "lpips-by-target.png", "grids/full-latent.png"),
    }
    text = page.read_text()
    assert text.count("data:image/png;base64,") == 6
    assert not re.findall(r'(?:src|href)="(?!data:)', text)
    assert "sg2bench ablate x" in text
    assert "What &lt;b&gt; buys." in text
    assert "Made by `sg2bench ablate x`" in (folder / "out/leaderboard.md").read_text()
    (folder / "in/experiment.yaml").unlink()
    report.write(folder / "in/results.csv", folder / "other", "the command")
    assert "Made by `the command`" in (folder / "other/leaderboard.md").read_text()
    summary = pd.read_csv(folder / "out/summary.csv")
    assert {"mean", "sd", "n"} <= set(summary.columns)
    again = report.write(folder / "out/results.csv", folder / "out", "the command")
    assert again.read_text() == text


def test_names_are_escaped_in_the_page(folder, rows):
    rows["experiment"] = "<script>alert(1)</script>"
    results.write(rows, folder / "in/results.csv")
    (folder / "in/experiment.yaml").write_text("# Made by: x > y\n")
    text = report.write(folder / "in/results.csv", folder / "out", "").read_text()
    assert "<script>alert" not in text
    assert "x &gt; y" in text


@pytest.mark.parametrize("column", ["experiment", "protocol_hash", "data_fingerprint"])
def test_rows_that_cannot_stand_together_are_refused(folder, rows, column):
    rows.loc[0, column] = "other"
    results.write(rows, folder / "in/results.csv")
    with pytest.raises(ValueError, match=f"rows of several {column}s cannot stand together"):
        report.write(folder / "in/results.csv", folder / "out", "")
    assert not (folder / "out").exists()


@pytest.mark.parametrize("column", ["n_real", "n_fake"])
def test_values_of_unequal_counts_are_refused(folder, rows, column):
    rows.loc[(rows["variant"] == "no_ds") & (rows["seed"] == 1), column] = 3
    results.write(rows, folder / "in/results.csv")
    with pytest.raises(ValueError, match=rf"latent fd_alexnet cat → dog has {column} 3, \d; values of unequal counts"):
        report.write(folder / "in/results.csv", folder / "out", "x")


def test_a_plot_shows_the_mean_the_spread_and_the_lines(rows):
    figure = plots.variants_plot(rows, "fd_alexnet")
    (axis,) = figure.axes
    assert [label.get_text() for label in axis.get_xticklabels()] == ["full", "no_ds"]
    assert [float(container.lines[0].get_ydata()[0]) for container in axis.containers] == [50.5, 40.5]
    assert (axis.get_yscale(), axis.get_ylim()[0]) == ("linear", 0)
    levels = {line.get_ydata()[0] for line in axis.lines if line.get_linestyle() in ("--", ":")}
    assert levels == {1.5, 90.0}
    assert axis.get_ylabel() == "fd_alexnet (lower is better)"


def test_an_outlier_makes_the_axis_logarithmic(rows):
    rows.loc[(rows["variant"] == "no_ds") & (rows["metric"] == "fd_alexnet"), "value"] *= 40
    assert plots.variants_plot(rows, "fd_alexnet").axes[0].get_yscale() == "linear"
    more = rows[rows["variant"] == "full"]
    rows = pd.concat([rows, more.assign(variant="a"), more.assign(variant="b")])
    assert plots.variants_plot(rows, "fd_alexnet").axes[0].get_yscale() == "log"
    assert plots.targets_plot(rows, "fd_alexnet").axes[0].get_yscale() == "log"


def test_one_seed_has_no_spread(tiny):
    _, body = leaderboard.leaderboard(table(tiny))
    assert body == [["full", "50.00", "0.2500", "1"]]
    plots.variants_plot(table(tiny), "lpips")
    plots.targets_plot(table(tiny), "lpips")


def test_a_report_in_place_of_other_rows_is_refused(folder, rows):
    results.write(rows[rows["variant"] == "full"], folder / "in/part.csv")
    before = (folder / "in/results.csv").read_bytes()
    with pytest.raises(ValueError, match=r"part.csv: give the report another folder with --out"):
        report.write(folder / "in/part.csv", folder / "in", "")
    assert (folder / "in/results.csv").read_bytes() == before


def test_a_variant_without_a_metric_is_shown_without_it(rows):
    part = rows[~((rows["variant"] == "full") & (rows["metric"] == "lpips"))]
    _, body = leaderboard.leaderboard(part)
    assert body[0] == ["no_ds", "40.50 ± 0.7071 (-10.00 ± 0.0000)", "0.6500 ± 0.7071", "2"]
    assert body[1] == ["full", "50.50 ± 0.7071", "–", "2"]
    with pytest.raises(ValueError, match="no overall values"):
        leaderboard.leaderboard(rows[rows["target"] != "*"])


def test_means_over_other_pairs_are_refused(folder, rows):
    fewer = rows[~((rows["variant"] == "no_ds") & (rows["source"] == "cat"))]
    results.write(fewer, folder / "in/results.csv")
    with pytest.raises(ValueError, match="no_ds seed 0 and full seed 0 have other pairs of domains, as cat → dog"):
        report.write(folder / "in/results.csv", folder / "out", "x")
