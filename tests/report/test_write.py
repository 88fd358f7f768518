from __future__ import annotations

import base64
import re

import numpy as np
import pandas as pd
import pytest

from sg2bench import rows as row_table
from sg2bench.report import page, plots, variants, write
from tests.tables import table


def test_leaderboard_ranks_and_pairs_by_seed(rows):
    header, body = variants.variants_table(rows)
    assert header == ["variant", "fd_alexnet latent ↓", "lpips latent ↑", "seeds"]
    assert body[0] == ["no_ds", "40.50 ± 0.7071 (-10.00 ± 0.0000)", "0.6500 ± 0.7071 (-0.1000 ± 0.0000)", "2"]
    assert body[1] == ["full", "50.50 ± 0.7071", "0.7500 ± 0.7071", "2"]
    assert body[2][:3] == ["*real validation images*", "1.50", "–"]
    assert body[3][1] == "90.00"


def test_caption_says_what_the_numbers_are(rows):
    caption = variants.caption(rows)
    for part in ("seeds (0, 1)", "4 steps", "4 outputs (2 a source)", "6 training images", "offline", "torch "):
        assert part in caption


def test_report_folder(folder):
    written = write.write(folder / "in/results.csv", folder / "out", "the command")
    found = {path.relative_to(folder / "out").as_posix() for path in (folder / "out").rglob("*.*")}
    assert found == {
        *("results.csv", "summary.csv", "curves.csv", "leaderboard.md", "report.html", "curves.png", "experiment.yaml"),
        *("fd_alexnet.png", "fd_alexnet-by-target.png", "fd_alexnet-by-pair.png"),
        *("lpips.png", "lpips-by-target.png", "lpips-by-pair.png", "grids/full-latent.png"),
    }
    text = written.read_text()
    assert text.count("data:image/png;base64,") == 8
    assert not re.findall(r'(?:src|href)="(?!data:|#)', text)
    assert "sg2bench ablate x" in text
    assert "What &lt;b&gt; buys." in text
    assert "Made by `sg2bench ablate x`" in (folder / "out/leaderboard.md").read_text()
    (folder / "in/experiment.yaml").unlink()
    write.write(folder / "in/results.csv", folder / "other", "the command")
    assert "Made by `the command`" in (folder / "other/leaderboard.md").read_text()
    summary = pd.read_csv(folder / "out/summary.csv")
    assert {"mean", "sd", "n"} <= set(summary.columns)
    again = write.write(folder / "out/results.csv", folder / "out", "the command")
    assert again.read_text() == text


def test_names_are_escaped_in_the_page(folder, rows):
    (folder / "in/experiment.yaml").write_text("# Made by: x > y\ndescription: <script>alert(1)</script>\n")
    text = write.write(folder / "in/results.csv", folder / "out", "").read_text()
    assert "<script>alert" not in text
    assert "x &gt; y" in text


def test_downloads_are_the_files(folder, monkeypatch):
    text = write.write(folder / "in/results.csv", folder / "out", "").read_text()
    links = re.findall(r'<a href="data:text/\w+;base64,([^"]*)" download="([^"]*)"', text)
    files = {name: base64.b64decode(content) for content, name in links}
    assert set(files) == {"results.csv", "summary.csv", "curves.csv", "experiment.yaml"}
    for name, content in files.items():
        assert content == (folder / "out" / name).read_bytes()
    monkeypatch.setattr(page, "_EMBEDDED_BYTES", 1000)
    text = write.write(folder / "in/results.csv", folder / "out", "").read_text()
    assert '<a href="results.csv" download="results.csv">results.csv</a> (lies beside this page)' in text


def test_provenance_lists_all_that_rows_differ_in(rows):
    rows.loc[0, "git_commit"] = "abc"
    rows.loc[1:, "git_commit"] = ""
    found = page.provenance(rows)
    assert found["Commit of sg2bench"] == "abc; none"
    assert found["Seeds"] == "0; 1"
    assert found["Extractor and SHA-256 of its weights"].startswith("alexnet 443c5bc3")
    assert found["Counts"] == "n: 2 seeds; each pair 4 outputs against 6 training images of the target."


def test_bad_rows_are_refused_by_their_line(folder, rows):
    rows.loc[0, "metric"] = "../x"
    row_table.write(rows, folder / "in/results.csv")
    with pytest.raises(ValueError, match=r"line 2: metric is '../x', expected one of fd_alexnet"):
        write.write(folder / "in/results.csv", folder / "out", "")


@pytest.mark.parametrize(
    ("column", "other"), [("experiment", "other"), ("protocol_hash", "0" * 16), ("data_fingerprint", "0" * 16)]
)
def test_rows_that_cannot_stand_together_are_refused(folder, rows, column, other):
    rows.loc[rows["seed"] == 1, column] = other
    row_table.write(rows, folder / "in/results.csv")
    with pytest.raises(ValueError, match=f"rows of several {column}s cannot stand together"):
        write.write(folder / "in/results.csv", folder / "out", "")
    assert not (folder / "out").exists()


def test_metrics_of_different_networks_have_hashes_of_their_own(folder, rows):
    rows.loc[rows["metric"] == "lpips", "protocol_hash"] = "1" * 16
    row_table.write(rows, folder / "in/results.csv")
    write.write(folder / "in/results.csv", folder / "out", "")
    text = (folder / "out/leaderboard.md").read_text()
    assert f"(fd_alexnet), {'1' * 16} (lpips)" in text


def test_two_configurations_of_a_variant_are_refused(folder, rows):
    rows.loc[(rows["variant"] == "no_ds") & (rows["seed"] == 1), "config_hash"] = "d" * 16
    row_table.write(rows, folder / "in/results.csv")
    with pytest.raises(ValueError, match="no_ds of tiny was trained with two configurations"):
        write.write(folder / "in/results.csv", folder / "out", "")


@pytest.mark.parametrize("column", ["n_real", "n_fake"])
def test_values_of_unequal_counts_are_refused(folder, rows, column):
    rows.loc[(rows["variant"] == "no_ds") & (rows["seed"] == 1), column] = 3
    row_table.write(rows, folder / "in/results.csv")
    with pytest.raises(ValueError, match=rf"latent fd_alexnet cat → dog has {column} 3, \d; values of unequal counts"):
        write.write(folder / "in/results.csv", folder / "out", "x")


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


def of_domains(rows, number):
    """`rows` with the target domains d0, d1, … each with the values of dog."""
    names = [f"d{i:03}" for i in range(number)]
    return pd.concat([rows[rows["target"] == "*"], *(rows[rows["target"] == "dog"].assign(target=n) for n in names)])


def test_many_targets_go_down_the_page(rows):
    few, many = (plots.targets_plot(of_domains(rows, number), "fd_alexnet") for number in (8, 100))
    assert [label.get_text() for label in few.axes[0].get_xticklabels()][:2] == ["d000", "d001"]
    assert [label.get_text() for label in many.axes[0].get_yticklabels()][-1] == "d099"
    assert many.axes[0].get_xlabel() == "fd_alexnet (lower is better)"
    assert many.get_figwidth() < 10
    assert 15 < many.get_figheight() < 50


def test_variants_differ_by_colour_or_marker(rows):
    full = rows[rows["variant"] == "full"]
    figure = plots.targets_plot(pd.concat([full.assign(variant=f"v{i}") for i in range(20)]), "fd_alexnet")
    marks = [container.lines[0] for container in figure.axes[0].containers]
    assert len({(mark.get_color(), mark.get_marker()) for mark in marks}) == 20


def test_heatmap_holds_the_mean_of_each_pair(rows):
    rows.loc[(rows["variant"] == "no_ds") & (rows["source"] == "cat"), ["source", "target"]] = ["dog", "cat"]
    figure = plots.pairs_plot(rows, "fd_alexnet")
    full, no_ds, bar = figure.axes
    assert full.get_title() == "full\nlatent guidance"
    assert [label.get_text() for label in full.get_xticklabels()] == ["cat", "dog"]
    np.testing.assert_array_equal(full.images[0].get_array().filled(np.nan), [[np.nan, 50.5], [np.nan, np.nan]])
    np.testing.assert_array_equal(no_ds.images[0].get_array().filled(np.nan), [[np.nan, np.nan], [40.5, np.nan]])
    assert full.images[0].norm is no_ds.images[0].norm
    assert [text.get_text() for text in full.texts] == ["50.5"]
    assert bar.get_ylabel() == "fd_alexnet (lower is better)"


def test_heatmap_of_many_domains_stays_small_and_labels_some(rows):
    figure = plots.pairs_plot(of_domains(rows, 100), "fd_alexnet")
    assert max(figure.get_size_inches()) < 12
    assert 30 <= len(figure.axes[0].get_xticklabels()) <= 51
    assert not figure.axes[0].texts


def test_one_seed_has_no_spread(tiny):
    _, body = variants.variants_table(table(tiny))
    assert body == [["full", "50.00", "0.2500", "1"]]
    plots.variants_plot(table(tiny), "lpips")
    plots.targets_plot(table(tiny), "lpips")


def test_a_report_in_place_of_other_rows_is_refused(folder, rows):
    row_table.write(rows[rows["variant"] == "full"], folder / "in/part.csv")
    before = (folder / "in/results.csv").read_bytes()
    with pytest.raises(ValueError, match=r"part.csv: give the report another folder with --out"):
        write.write(folder / "in/part.csv", folder / "in", "")
    assert (folder / "in/results.csv").read_bytes() == before


def test_a_variant_without_a_metric_is_shown_without_it(rows):
    part = rows[~((rows["variant"] == "full") & (rows["metric"] == "lpips"))]
    _, body = variants.variants_table(part)
    assert body[0] == ["no_ds", "40.50 ± 0.7071 (-10.00 ± 0.0000)", "0.6500 ± 0.7071", "2"]
    assert body[1] == ["full", "50.50 ± 0.7071", "–", "2"]
    with pytest.raises(ValueError, match="no overall values"):
        variants.variants_table(rows[rows["target"] != "*"])


def test_means_over_other_pairs_are_refused(folder, rows):
    fewer = rows[~((rows["variant"] == "no_ds") & (rows["source"] == "cat"))]
    row_table.write(fewer, folder / "in/results.csv")
    with pytest.raises(ValueError, match="no_ds seed 0 and full seed 0 have other pairs of domains, as cat → dog"):
        write.write(folder / "in/results.csv", folder / "out", "x")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("experiment.yaml", "- a list", "experiment.yaml: an experiment is a mapping, got list"),
        ("experiment.yaml", "a: [", "experiment.yaml: cannot be read as YAML"),
        ("curves.csv", "garbage", "curves.csv: column seed, step, variant is missing"),
        ("curves.csv", "", "curves.csv: not a CSV of training curves"),
    ],
)
def test_what_lies_beside_the_rows_is_read_before_anything_is_written(folder, name, content, message):
    (folder / "in" / name).write_text(content)
    with pytest.raises(ValueError, match=message):
        write.write(folder / "in/results.csv", folder / "out", "x")
    assert not (folder / "out").exists()


def test_rows_without_an_overall_value_leave_nothing(folder, rows):
    row_table.write(rows[rows["target"] != "*"], folder / "in/results.csv")
    with pytest.raises(ValueError, match="no overall values"):
        write.write(folder / "in/results.csv", folder / "out", "x")
    assert not (folder / "out").exists()
