"""Axes and colours that one variant's extremes do not stretch."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from sg2bench.report import plots


@given(st.lists(st.floats(0, 1e12), min_size=1, max_size=9))
def test_at_least_half_are_shown_and_what_is_not_is_far(reaches):
    most = plots.largest_shown(reaches)
    assert most in reaches
    assert sum(reach <= most for reach in reaches) >= len(reaches) / 2
    assert all(reach > plots.FARTHEST * most for reach in reaches if reach > most)


def line(*values):
    return pd.Series(values, index=pd.Index(range(10, 10 * len(values) + 1, 10), name="step"), dtype=float)


def test_limits_hold_all_lines_but_the_one_that_is_far():
    lines = {"a": line(4, 3, 2), "b": line(5, 2, 1), "far": line(1, -90, 3)}
    assert plots.limits(lines) == pytest.approx((1 - 0.48, 5 + 0.48))
    assert plots.limits({"a": line(2, 2)}) == pytest.approx((1.9, 2.1))
    assert plots.limits({"a": line(0, 0)}) == (-1, 1)


def test_a_line_that_leaves_the_axis_is_named_at_its_farthest_value():
    axis = Figure().subplots()
    axis.set_xlim(0, 50)
    axis.set_ylim(0, 10)
    plots.mark_farthest(axis, [line(1, 2, 3), line(5, 77, 1234.5, 5, 5), line(5, 5, 5, 5, -2)], ["r", "g", "b"])
    marks = [(mark.get_marker(), *mark.get_xdata(), mark.get_color()) for mark in axis.lines]
    assert marks == [("^", 30, "g"), ("v", 50, "b")]
    assert all(0 < mark.get_ydata()[0] < 10 for mark in axis.lines)
    assert [text.get_text() for text in axis.texts] == ["1234", "-2"]


def test_training_curves_are_not_flattened_by_one_variant():
    steps = np.arange(10, 110, 10)
    curves = [
        pd.DataFrame({"step": steps, "g_latent/ds": top / steps, "variant": v})
        for v, top in zip("abc", (3, 4, 90), strict=True)
    ]
    axis = plots.curves_plot(pd.concat(curves).assign(seed=0)).axes[0]
    assert axis.get_ylim()[1] < 1
    assert [text.get_text() for text in axis.texts] == ["5.5"]


def test_pairs_of_a_variant_far_from_the_others_are_red(rows):
    """40.5, 50.5, 45.5 and 4000: the colours go from 40.5 to 50.5."""
    of_pairs = rows[(rows["metric"] == "fd_alexnet") & (rows["variant"] != "real")]
    between = of_pairs[of_pairs["variant"] == "full"].assign(variant="between")
    far = between.assign(variant="far", value=4000.0)
    between["value"] -= 5
    panels = plots.pairs_plot(pd.concat([of_pairs, between, far]), "fd_alexnet").axes
    shown = {panel.get_title().split("\n")[0]: panel.images[0] for panel in panels if panel.images}
    norm = shown["full"].norm
    assert (norm.vmin, norm.vmax) == (40.5, 50.5)
    colour = {name: image.to_rgba(image.get_array())[0, 1] for name, image in shown.items()}
    red = np.array([0xB3, 0x26, 0x1E]) / 255
    assert [name for name in colour if np.allclose(colour[name][:3], red)] == ["far"]
    alone = plots.pairs_plot(of_pairs, "fd_alexnet").axes
    assert alone[0].images[0].norm.vmax == 50.5
