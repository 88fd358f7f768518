"""The figures of effects: what is drawn where."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sg2bench.keys import Claim
from sg2bench.report import effect_plots
from sg2bench.rows import measure_effects
from tests.tables import over_seeds

CLAIM = Claim(term="cyc", variant="b", purpose="content is kept", metric="fd_alexnet")


@pytest.fixture
def effects():
    """`b` doubles the distance, surely; `c` changes nothing; `d` is far beyond, and has no diversity."""
    rng = np.random.default_rng(0)
    luck = 1 + 0.01 * rng.standard_normal((4, 5))
    values = {
        name: {"fd_alexnet": 10 * factor * luck[place], "lpips": 0.1 * luck[-place]}
        for place, (name, factor) in enumerate({"full": 1, "b": 2, "c": 1, "d": 90}.items())
    }
    del values["d"]["lpips"]
    return measure_effects(over_seeds(values), claims=[CLAIM])


def markers(axis, marker):
    """Places of a marker."""
    return [(line.get_xdata()[0], line.get_ydata()[0]) for line in axis.lines if line.get_marker() == marker]


def test_the_map_has_a_cell_for_each_effect(effects):
    realistic, followed, _ = effect_plots.overview(effects).axes
    cells = realistic.images[0].get_array()
    assert cells.shape == (1, 3)
    assert cells[0, 0] > 4  # worse
    assert abs(cells[0, 1]) < 4
    assert followed.images[0].get_array().mask.tolist() == [[False, False, True]]
    assert [label.get_text() for label in realistic.get_xticklabels()] == ["b", "c", "d"]
    assert [label.get_text() for label in realistic.get_yticklabels()] == ["fd_alexnet ↓, latent"]
    low, high = realistic.images[0].get_clim()
    assert (low, high) == (-4, 4)


def test_marks_say_what_is_sure_and_what_is_primary(effects):
    realistic, followed, _ = effect_plots.overview(effects).axes
    sizes = [(line.get_xdata()[0], line.get_markersize()) for line in realistic.lines if line.get_marker() == "o"]
    assert {place for place, size in sizes if size < 6} == {0, 2}  # a dot
    assert {place for place, size in sizes if size > 6} == {0, 2}  # a ring
    assert [round(patch.get_x()) for patch in realistic.patches] == [0, 0]
    assert not followed.patches


def test_an_interval_alone_is_no_ring(effects):
    effects = effects.assign(p_holm=1.0)
    realistic, *_ = effect_plots.overview(effects).axes
    assert {line.get_markersize() for line in realistic.lines if line.get_marker() == "o"} == {4.5}


def test_a_variant_far_beyond_is_an_arrow_with_its_value(effects):
    (axis,) = effect_plots.forest(effects[effects["metric"] == "fd_alexnet"]).axes
    low, high = axis.get_xlim()
    assert low < 0
    assert 100 < high < 150
    assert [label.get_text() for label in axis.get_yticklabels()] == ["b", "c", "d"]
    assert {place for _, place in markers(axis, ">")} == {2}
    assert [text.get_text() for text in axis.texts] == [f"{round(effects['effect'].max() * 100 - 100, -1):+.0f} %"]
    assert axis.get_xlabel() == "change, %"


def test_a_line_is_the_interval_and_a_filled_mark_is_sure(effects):
    (axis,) = effect_plots.forest(effects[effects["metric"] == "fd_alexnet"]).axes
    b = effects.iloc[0]
    spans = [line.get_xdata() for line in axis.lines if list(line.get_ydata()) == [0, 0]]
    assert [list(span) for span in spans] == [
        [pytest.approx(100 * b["ci_low"] - 100), pytest.approx(100 * b["ci_high"] - 100)]
    ]
    marks = [line for line in axis.lines if line.get_marker() == "o"]
    assert [mark.get_markerfacecolor() != "white" for mark in marks] == [True, False, True]
    assert [mark.get_color() for mark in marks] == [effect_plots.INKS[way] for way in ("worse", "unclear", "worse")]


def test_what_was_not_measured_is_said(effects):
    (axis,) = effect_plots.forest(effects[effects["metric"] == "lpips"]).axes
    assert [(text.get_text(), text.xy[1]) for text in axis.texts] == [("not measured", 2)]


def test_one_seed_has_marks_without_lines():
    values = {"full": {"lpips": [0.1], "style_leak": [0.1]}, "b": {"lpips": [0.2], "style_leak": [0.3]}}
    effects = measure_effects(over_seeds(values))
    figure = effect_plots.forest(effects)
    for axis, center in zip(figure.axes, (100, 0.2), strict=True):
        assert markers(axis, "o") == [(pytest.approx(center), 0)]
    assert effect_plots.overview(effects).axes[0].images[0].get_array().mask.all()


def test_many_variants_fit():
    values = {f"variant_{place}": {"lpips": [1, 2 + place]} for place in range(30)}
    figure = effect_plots.overview(measure_effects(over_seeds(values)))
    assert figure.get_figwidth() < 14
    assert pd.Series([label.get_rotation() for label in figure.axes[0].get_xticklabels()]).eq(90).all()


def test_wide_intervals_do_not_hide_the_others(effects):
    """With few seeds, some intervals may be ten times as wide as the others: their ends leave the axis."""
    rows = effects[effects["metric"] == "fd_alexnet"]
    rows = pd.concat([rows[rows["variant"] == name] for name in "bcbcb"]).reset_index(drop=True)
    rows["variant"] = list("bcdef")
    rows.loc[[1, 4], ["ci_low", "ci_high"]] = [0.1, 30.0]
    (axis,) = effect_plots.forest(rows).axes
    assert axis.get_xlim()[1] < 300  # per cent; two intervals end at 2,900
    assert [y for _, y in markers(axis, ">")] == [1, 4]
