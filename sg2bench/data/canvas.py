"""A canvas that paints shapes in a head's frame of reference, with the same pixels on every machine.

Pixels are decided by comparing float64 sums, products and quotients of numbers rounded to 12 bits, and averaged in
integers. So no library's rounding can change them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

_SUPERSAMPLING = 4

Colour = tuple[int, int, int]
Point = tuple[float, float]


class Canvas:
    """Paint shapes given in the head's frame: the origin is its centre, the unit its radius, y points down.

    The head's centre and radius are in image widths, its angle in degrees, clockwise.
    """

    def __init__(self, size: int, background: Colour, centre: Point, radius: float, angle: float) -> None:
        self.side = size * _SUPERSAMPLING
        self.colours = [background]
        self.painted = np.zeros((self.side, self.side), np.uint8)
        """Index into `colours` for each pixel."""
        self.x, self.y = centre[0] * self.side, centre[1] * self.side
        self.radius = radius * self.side
        self.cos, self.sin = _rotation(angle)

    def ellipse(self, u: float, v: float, ru: float, rv: float, colour: Colour, tilt: float = 0) -> None:
        """Paint an ellipse: centre (u, v) and radii in radii of the head, tilt in degrees clockwise."""
        cos, sin = _rotation(tilt)
        reach_u, reach_v = math.hypot(ru * cos, rv * sin), math.hypot(ru * sin, rv * cos)
        corners = [(u + a * reach_u, v + b * reach_v) for a in (-1, 1) for b in (-1, 1)]
        window, du, dv = self._frame(u, v, corners)
        along, across = (cos * du + sin * dv) / ru, (cos * dv - sin * du) / rv
        self._paint(window, along * along + across * across <= 1, colour)

    def polygon(self, corners: tuple[Point, ...], colour: Colour) -> None:
        """Paint a convex polygon; corners may be clockwise or counterclockwise."""
        u, v = sum(c[0] for c in corners) / len(corners), sum(c[1] for c in corners) / len(corners)
        window, du, dv = self._frame(u, v, corners)
        sides = [
            (b[0] - a[0]) * (dv + v - a[1]) - (b[1] - a[1]) * (du + u - a[0])
            for a, b in zip(corners, (*corners[1:], corners[0]), strict=True)
        ]
        self._paint(window, np.all([s >= 0 for s in sides], 0) | np.all([s <= 0 for s in sides], 0), colour)

    def image(self) -> NDArray[np.uint8]:
        """Return the painted image, uint8 (size, size, 3)."""
        size, samples = self.side // _SUPERSAMPLING, _SUPERSAMPLING**2
        pixels = np.array(self.colours, np.uint16)[self.painted]
        rows = pixels.reshape(size, _SUPERSAMPLING, self.side, 3).sum(1, dtype=np.uint16)
        blocks = rows.reshape(size, size, _SUPERSAMPLING, 3).sum(2, dtype=np.uint16)
        averages: NDArray[np.uint8] = ((blocks + samples // 2) // samples).astype(np.uint8)
        return averages

    def _paint(self, window: tuple[slice, slice], inside: NDArray[np.bool_], colour: Colour) -> None:
        np.copyto(self.painted[window], len(self.colours), where=inside)
        self.colours.append(colour)

    def _frame(
        self, u: float, v: float, corners: Sequence[Point]
    ) -> tuple[tuple[slice, slice], NDArray[np.float64], NDArray[np.float64]]:
        """Return the window of pixels around the corners, and each pixel's offset from (u, v) in the head's frame."""
        x = self.x + self.radius * (self.cos * u - self.sin * v)
        y = self.y + self.radius * (self.sin * u + self.cos * v)
        rows = self._window(self.y + self.radius * (self.sin * a + self.cos * b) for a, b in corners)
        columns = self._window(self.x + self.radius * (self.cos * a - self.sin * b) for a, b in corners)
        dy = (np.arange(rows.start, rows.stop)[:, None] + 0.5 - y) / self.radius
        dx = (np.arange(columns.start, columns.stop)[None, :] + 0.5 - x) / self.radius
        return (rows, columns), self.cos * dx + self.sin * dy, self.cos * dy - self.sin * dx

    def _window(self, places: Iterable[float]) -> slice:
        """Return the range of pixels that covers these coordinates, with two more at each end."""
        found = [*places]
        return slice(max(0, int(min(found)) - 2), max(0, min(self.side, int(max(found)) + 3)))


def _rotation(degrees: float) -> tuple[float, float]:
    """Return cosine and sine, rounded to 12 bits."""
    return tuple(round(f(math.radians(degrees)) * 4096) / 4096 for f in (math.cos, math.sin))  # type: ignore[return-value]
