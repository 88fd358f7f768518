from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sg2bench.data.canvas import Canvas

RED, BLUE = (200, 10, 20), (10, 20, 200)
ANGLES = st.integers(-180, 180).map(float)
LENGTHS = st.floats(0.05, 0.9)
PLACES = st.floats(-1.5, 1.5)


def frame(canvas):
    """Each sample's place in the head's frame, of the whole canvas."""
    places = np.arange(canvas.side) + 0.5
    dy, dx = (places[:, None] - canvas.y) / canvas.radius, (places[None, :] - canvas.x) / canvas.radius
    return canvas.cos * dx + canvas.sin * dy, canvas.cos * dy - canvas.sin * dx


@settings(max_examples=100)
@given(
    st.tuples(st.floats(-0.2, 1.2), st.floats(-0.2, 1.2)), st.floats(0.05, 0.6), ANGLES, PLACES, PLACES, LENGTHS,
    LENGTHS, ANGLES,
)  # fmt: skip
def test_an_ellipse_is_whole_wherever_it_lies(centre, radius, angle, u, v, ru, rv, tilt):
    """Its window leaves nothing out."""
    canvas = Canvas(8, RED, centre, radius, angle)
    canvas.ellipse(u, v, ru, rv, BLUE, tilt)
    du, dv = (place - middle for place, middle in zip(frame(canvas), (u, v), strict=True))
    cos, sin = math.cos(math.radians(tilt)), math.sin(math.radians(tilt))
    distance = ((cos * du + sin * dv) / ru) ** 2 + ((cos * dv - sin * du) / rv) ** 2
    clear = np.abs(distance - 1) > 0.02  # farther off than sine and cosine are rounded
    assert ((canvas.painted == 1) == (distance <= 1))[clear].all()


@settings(max_examples=100)
@given(st.tuples(st.floats(-0.2, 1.2), st.floats(-0.2, 1.2)), st.floats(0.05, 0.6), ANGLES, PLACES, PLACES, LENGTHS)
def test_a_polygon_is_whole_wherever_it_lies(centre, radius, angle, u, v, side):
    canvas = Canvas(8, RED, centre, radius, angle)
    canvas.polygon(((u, v), (u + side, v), (u + side, v + 1), (u, v + 1)), BLUE)
    du, dv = frame(canvas)
    inside = (du >= u) & (du <= u + side) & (dv >= v) & (dv <= v + 1)
    clear = np.min([np.abs(du - u), np.abs(du - u - side), np.abs(dv - v), np.abs(dv - v - 1)], 0) > 1e-2
    assert ((canvas.painted == 1) == inside)[clear].all()


def test_a_pixel_is_the_mean_of_its_samples_rounded_half_up():
    canvas = Canvas(1, (0, 0, 0), (0.5, 0.5), 0.5, 0)
    assert (canvas.image() == 0).all()
    canvas.polygon(((-1, -1), (1, -1), (1, 0), (-1, 0)), (255, 1, 3))  # half of the pixel
    assert canvas.image().tolist() == [[[128, 1, 2]]]


@pytest.mark.parametrize("corners", [((-1, -1), (1, -1), (1, 1), (-1, 1)), ((-1, 1), (1, 1), (1, -1), (-1, -1))])
def test_corners_may_go_round_either_way(corners):
    canvas = Canvas(4, RED, (0.5, 0.5), 0.5, 0)
    canvas.polygon(corners, BLUE)
    assert (canvas.image() == BLUE).all()
