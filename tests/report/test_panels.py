"""The figures of values: what is drawn where."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from PIL import Image

from sg2bench.catalog import METRICS, QUESTIONS, REFERENCE_LINES, default_metrics
from sg2bench.report import figures, panels, plots, variants, write
from sg2bench.rows import measure_effects
from tests.tables import study


def of_metric(rows, metric="fd_alexnet"):
    return rows[rows["metric"] == metric]


def test_a_plot_shows_the_mean_the_spread_and_the_lines(rows):
    (axis,) = panels.variants_plot(of_metric(rows)).axes
    assert [label.get_text() for label in axis.get_yticklabels()] == ["full", "no_ds"]
    assert [float(container.lines[0].get_xdata()[0]) for container in axis.containers] == [50.5, 40.5]
    assert (axis.get_xscale(), axis.get_title()) == ("linear", "fd_alexnet ↓, latent")
    assert axis.get_xlim()[0] <= 0
    levels = {line.get_xdata()[0] for line in axis.lines if line.get_linestyle() in ("--", ":")}
    assert levels == {1.5, 90.0}


def test_a_line_far_away_is_named_instead_of_stretching_the_axis(rows):
    rows.loc[rows["variant"] == "sources", "value"] = 900.0
    (axis,) = panels.variants_plot(of_metric(rows)).axes
    assert axis.get_xlim()[1] < 100
    assert axis.get_xlabel() == "untranslated sources: 900 →"


def edges(axis):
    """Where triangles stand for what is beyond the axis."""
    return [line.get_ydata()[0] for line in axis.lines if line.get_marker() in ("<", ">")]


def test_an_outlier_is_marked_at_the_edge_and_leaves_the_axis_to_the_others(rows):
    rows.loc[(rows["variant"] == "no_ds") & (rows["metric"] == "fd_alexnet"), "value"] *= 40
    (axis,) = panels.variants_plot(of_metric(rows)).axes
    assert (axis.get_xscale(), axis.get_xlim()[1] < 120) == ("linear", True)
    assert edges(axis) == [pytest.approx(1.14)]
    assert [text.get_text() for text in axis.texts] == ["1620.0"]
    (axis,) = panels.targets_plot(of_metric(rows)).axes
    assert axis.get_xlim()[1] < 120
    assert len(edges(axis)) == 1


@pytest.mark.parametrize(
    ("reaches", "expected"),
    [
        ([5], 5),
        ([5, 4], 5),
        ([1, 20], 1),
        ([1, 2, 3, 4, 1000], 4),
        ([1, 4, 5, 6, 7], 7),
        ([0, 0, 3], 3),
        ([1, 1, 9, 99], 1),
    ],
)
def test_an_axis_ends_before_the_first_gap_above_the_middle(reaches, expected):
    assert plots.largest_shown(reversed(reaches)) == expected


def test_a_panel_for_each_metric_and_mode_that_has_values_and_one_scale_a_metric():
    table = study()
    followed = table[table["metric"].map(lambda metric: METRICS[metric].question) == "followed"]
    figure = panels.variants_plot(followed)
    shown = [axis.get_title() for axis in figure.axes if axis.axison]
    expected = [
        f"{name} {METRICS[name].arrow}, {mode}"
        for name in default_metrics("offline")
        for mode in METRICS[name].modes
        if METRICS[name].question == "followed"
    ]
    assert shown == expected
    limits = {axis.get_title(): axis.get_xlim() for axis in figure.axes}
    assert limits["style_leak ↓, latent"] == limits["style_leak ↓, reference"]
    assert limits["style_leak ↓, latent"][0] < 0
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == list(REFERENCE_LINES.values())


def test_reference_lines_differ_in_dashes():
    table = of_metric(study(), "truth_l1")
    table.loc[table["variant"].isin(REFERENCE_LINES), "value"] += (
        np.arange(len(table[table["variant"].isin(REFERENCE_LINES)])) / 9
    )
    figure = panels.variants_plot(table)
    lines = [line for line in figure.axes[0].lines if len(set(line.get_xdata())) == 1 and line.get_zorder() == 1]
    assert len({str(line._dash_pattern) for line in lines}) == len({line.get_color() for line in lines}) == 5


@settings(max_examples=20)
@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=6),
    st.lists(st.floats(-1e9, 1e9), max_size=5),
)
def test_every_value_is_within_its_axis_or_marked_at_the_edge(values, levels):
    models = [{"variant": f"v{place}", "value": value} for place, value in enumerate(values)]
    lines = [{"variant": line, "value": level} for line, level in zip(REFERENCE_LINES, levels, strict=False)]
    shared = {"mode": "latent", "metric": "kd_alexnet", "source": "*", "target": "*"}
    (axis,) = panels.variants_plot(pd.DataFrame(models + lines).assign(**shared)).axes
    low, high = axis.get_xlim()
    assert sum(not low <= value <= high for value in values) == len(edges(axis)) <= len(values) / 2
    drawn = sum(line.get_zorder() == 1 for line in axis.lines)
    assert drawn + len(axis.get_xlabel().splitlines()) == len(levels)


def of_domains(rows, number):
    """`rows` with the target domains d0, d1, … each with the values of dog."""
    names = [f"d{i:03}" for i in range(number)]
    return pd.concat([rows[rows["target"] == "*"], *(rows[rows["target"] == "dog"].assign(target=n) for n in names)])


def test_many_targets_go_down_the_page(rows):
    few, many = (panels.targets_plot(of_domains(of_metric(rows), number)) for number in (8, 100))
    assert [label.get_text() for label in few.axes[0].get_yticklabels()][:2] == ["d000", "d001"]
    assert [label.get_text() for label in many.axes[0].get_yticklabels()][-1] == "d099"
    assert many.get_figwidth() < 10
    assert few.get_figheight() < 15 < many.get_figheight() < 50


def test_variants_differ_by_colour_or_marker(rows):
    full = of_metric(rows)[of_metric(rows)["variant"] == "full"]
    figure = panels.targets_plot(pd.concat([full.assign(variant=f"v{i}") for i in range(20)]))
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


def test_a_plot_is_written_with_few_colours_and_looks_as_drawn(tmp_path):
    figure = Figure()
    axis = figure.subplots()
    axis.imshow(np.arange(100).reshape(10, 10), cmap="viridis")
    plots.save(figure, tmp_path / "small.png")
    figure.savefig(tmp_path / "all.png")
    small, whole = (Image.open(tmp_path / f"{name}.png") for name in ("small", "all"))
    assert small.mode == "P"
    difference = np.abs(np.asarray(small.convert("RGB"), int) - np.asarray(whole.convert("RGB"), int))
    assert difference.mean() < 1


def test_all_questions_have_one_order_of_variants():
    ranked = ["full", "a", "b", "c", "d", "e"]
    table = study(ranked, range(2))
    found = variants.tables(table, measure_effects(table))
    assert [of_question.question for of_question in found] == list(QUESTIONS)
    for of_question in found:
        assert [row[0] for row in of_question.rows] == ranked
        assert all(len(row) == len(of_question.header) for row in of_question.rows + of_question.lines)
        assert "nan" not in str(of_question.rows)
        assert list(REFERENCE_LINES.values()) == [line[0] for line in of_question.lines]


def test_captions_know_what_their_metrics_need(tmp_path):
    table = study(["full", "a"], range(2))
    table.loc[table["metric"] == "truth_l1", "n_fake"] = 12
    kept, followed = figures.plots_of(table[table["metric"].isin(["angle_error", "lpips", "truth_l1"])], tmp_path)
    assert kept.by_variant.caption.endswith("n: 2 seeds; each pair: 40 outputs.")
    assert followed.by_variant.caption.endswith("n: 2 seeds; each pair: 12 to 40 outputs.")
    assert "training images" in figures.counts(table)
    for title in REFERENCE_LINES.values():
        assert title in followed.by_variant.reading
    assert [name for name, _ in followed.metrics] == ["lpips ↑", "truth_l1 ↓"]


@pytest.mark.parametrize("name", ["fd_alexnet.png", "lpips-by-target.png", "steps.png"])
def test_plots_of_an_earlier_version_are_removed(folder, without_plots, name):
    for place in ("in", "out"):
        (folder / place).mkdir(exist_ok=True)
        (folder / place / "report.html").write_text("<title>x · sg2bench</title>")
        (folder / place / name).touch()
        write.write(folder / "in/results.csv", folder / place, "x")
        assert not (folder / place / name).exists()
