"""Values over training in a report: the curves, the best steps, and that nothing else reads these rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot

from sg2bench import gate
from sg2bench import rows as row_table
from sg2bench.report import leaderboard, plots, steps, write
from tests.rows.test_rows import on_half


@pytest.fixture
def halves(rows):
    """Steps 1, 2 and 4 on the even sources, where 2 is best by fd_alexnet; 2 and 4 on the odd ones, where 4 is."""
    models = row_table.models(rows)
    even = [on_half(models, "even", step, shift) for step, shift in ((1, 9), (2, 3), (4, 6))]
    odd = [on_half(models, "odd", step, shift) for step, shift in ((2, 5), (4, 1))]
    return pd.concat([*even, *odd], ignore_index=True)


@pytest.fixture
def with_halves(rows, halves, folder):
    """The folder, whose rows are now of several steps."""
    row_table.write(pd.concat([halves, rows], ignore_index=True), folder / "in/results.csv")
    return folder


def test_the_best_step_and_the_last_on_the_sources_that_did_not_choose(halves):
    odd = row_table.overall(row_table.of_half(halves, "odd"))
    header, body = steps.best_steps(odd, "fd_alexnet")
    sides = ["fd_alexnet at the best step ↓", "fd_alexnet at the last step ↓"]
    assert header == ["variant", "mode", "best step", *sides, "best minus last"]
    assert body == [
        ["full", "latent", "2", "55.50 ± 0.7071", "51.50 ± 0.7071", "+4.00 ± 0.0000"],
        ["no_ds", "latent", "2", "45.50 ± 0.7071", "41.50 ± 0.7071", "+4.00 ± 0.0000"],
    ]
    one_seed_stops_early = odd[(odd["seed"] == 0) | (odd["step"] == 4)]
    _, body = steps.best_steps(one_seed_stops_early, "fd_alexnet")
    assert body[0][2] == "2, 4"


def lines(figure, panel=0):
    """The curves of a panel, as (step, value) points."""
    return [list(zip(*line.get_data(), strict=True)) for line in figure.axes[panel].lines if len(line.get_xdata())]


def test_a_line_is_the_mean_over_seeds_and_a_band_its_interval(halves):
    figure = steps.curves_plot(row_table.overall(row_table.of_half(halves, "even")))
    assert [axis.get_title() for axis in figure.axes] == ["fd_alexnet ↓, latent", "lpips ↑, latent"]
    assert lines(figure) == [[(1, 59.5), (2, 53.5), (4, 56.5)], [(1, 49.5), (2, 43.5), (4, 46.5)]]
    band = figure.axes[0].collections[0].get_paths()[0].vertices
    half = 12.706 * np.sqrt(0.5) / np.sqrt(2)  # Student's t of one degree of freedom
    low, high = figure.axes[0].get_ylim()
    assert band[:, 1].max() == pytest.approx(min(59.5 + half, high), abs=1e-3)
    assert band[:, 1].min() == pytest.approx(max(53.5 - half, low), abs=1e-3)


def test_one_seed_has_the_interval_of_its_value_as_far_as_the_axis_goes(halves):
    even = row_table.overall(row_table.of_half(halves, "even"))
    one = even[(even["seed"] == 0) & (even["metric"] == "fd_alexnet") & (even["variant"] == "full")]
    figure = steps.curves_plot(one.assign(ci_low=one["value"] - 0.25, ci_high=np.inf))
    band = figure.axes[0].collections[0].get_paths()[0].vertices
    assert band[:, 1].min() == one["value"].min() - 0.25
    assert band[:, 1].max() == figure.axes[0].get_ylim()[1]


@pytest.mark.parametrize("scale", [1e3, -1e3])
def test_a_variant_that_diverges_leaves_room_for_the_others(halves, scale):
    even = row_table.overall(row_table.of_half(halves, "even")).query("metric == 'fd_alexnet'")
    wild = even[even["variant"] == "full"].assign(variant="wild")
    wild["value"] *= scale * wild["step"]
    figure = steps.curves_plot(pd.concat([even, wild]))
    low, high = figure.axes[0].get_ylim()
    assert 40 < low < 43.5
    assert 59.5 < high < 63
    ((step, edge),) = lines(figure)[-1]
    assert step == 4
    assert low < edge < high
    assert [text.get_text() for text in figure.axes[0].texts] == [f"{scale * 4 * 56.5:.0f}"]
    assert len(figure.axes[0].collections) == 3


def test_the_page_shows_curves_and_best_steps_and_says_what_chose_them(with_halves):
    (with_halves / "in/experiment.yaml").write_text("train: {best_by: lpips}\n")
    text = write.write(with_halves / "in/results.csv", with_halves / "out", "").read_text()
    assert '<a href="#training">' in text
    assert "chosen by lpips on the even sources" in text
    assert "n: 2 seeds; each pair: 4 outputs against 6 training images" in text
    assert (with_halves / "out/steps.png").is_file()
    pyplot.close("all")


@pytest.mark.parametrize("train", ["{best_by: [1]}", "{best_by: kid}", "[1]", "{best_by: 3}"])
def test_a_foreign_experiment_that_names_no_metric_of_the_rows_counts_for_nothing(halves, tmp_path, train):
    assert "chosen by fd_alexnet" in steps.training(halves, tmp_path, f"train: {train}").caption


def test_by_default_the_first_metric_of_the_experiment_chooses(halves, tmp_path):
    """Not the first one of the rows: those of mode latent come first, and a metric may have only the other."""
    assert "chosen by lpips" in steps.training(halves, tmp_path, "evaluate: {metrics: [lpips, fd_alexnet]}").caption
    assert "chosen by lpips" in steps.training(halves, tmp_path, "evaluate: {metrics: [kid, lpips]}").caption


def test_rows_without_steps_make_no_section(folder, without_plots):
    text = write.write(folder / "in/results.csv", folder / "out", "").read_text()
    assert 'id="training"' not in text
    assert not (folder / "out/steps.png").exists()


def test_halves_of_other_protocols_are_refused(with_halves):
    file = with_halves / "in/results.csv"
    text = file.read_text()
    file.write_text(text.replace("0" * 16, "1" * 16, 1))
    with pytest.raises(ValueError, match="rows of several protocol hashes cannot be compared"):
        write.write(file, with_halves / "out", "")


def test_no_other_reader_takes_rows_of_half_of_the_sources(rows, with_halves, tmp_path, without_plots):
    """Summary, leaderboards and gate are those of the last step on all sources."""
    row_table.write(rows, tmp_path / "plain/results.csv")
    several, plain = with_halves / "in/results.csv", tmp_path / "plain/results.csv"
    for name, file in (("several", several), ("plain", plain)):
        write.write(file, tmp_path / name / "out", "the command")
        leaderboard.add([file], tmp_path / name / "board", "the command")
    for name in ("out/summary.csv", "board/leaderboard.csv"):
        ours, theirs = ((tmp_path / each / name).read_text() for each in ("several", "plain"))
        assert ours.replace("sg2bench ablate x", "the command") == theirs
    pd.testing.assert_frame_equal(*(gate.compare(file, plain, gate.margins(None, {})) for file in (several, plain)))


def test_variants_beyond_the_colours_differ_by_their_dashes():
    looks = [tuple(look.values()) for look in plots.looks(20)]
    assert len(set(looks)) == 20
