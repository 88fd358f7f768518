"""Effects as sentences and as short text."""

from __future__ import annotations

from math import floor, isfinite, isnan, log10
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sg2bench.rows.effects import Effect

_MOST_DECIMALS, _LARGEST = 9, 1e6


def sentence(effect: Effect, lead: str, noun: str, symbol: str, mode: str, baseline: str) -> str:
    """Describe an effect in a sentence: what changes by how much, its interval, the two values, the number of seeds.

    `lead` is like `Without cyc`, `noun` like `the position error`; `symbol` is its unit, or empty.
    """
    if isnan(effect.effect):
        return f"{lead} {noun} cannot be compared: it is not measured for both variants ({mode})."
    unit = f" {symbol}" if symbol else ""
    sides = f"from {' to '.join(_alike(effect.baseline_value, effect.value))}{unit}"
    return f"{lead} {noun} {_change(effect, unit)}, {sides} ({mode}, {_seeds(effect, baseline)})."


def change(effect: Any) -> str:
    """Format an effect and its interval, such as `+35 % [+20 %, +52 %]` or `-0.35 [-0.52, -0.20]`; `–` if it was not
    measured. `effect` has the fields of `Effect`.
    """
    if isnan(effect.effect):
        return "–"
    return _with_interval(*on_scale(effect), "%" if effect.scale == "ratio" else "", "+")


def _alike(some: float, other: float) -> list[str]:
    """Format two values with three significant digits, and with more decimals if they would look equal but are not."""
    texts, decimals = [significant(some), significant(other)], 2 - min(_magnitude(some), _magnitude(other))
    while some != other and float(texts[0]) == float(texts[1]) and decimals < _MOST_DECIMALS:
        decimals += 1
        texts = [_fixed(some, decimals), _fixed(other, decimals)]
    return texts


def significant(value: float, digits: int = 3) -> str:
    """Format a value with this many significant digits, without an exponent from 1e-8 to a million."""
    return _fixed(value, digits - 1 - _magnitude(value))


def _change(effect: Effect, unit: str) -> str:
    center, low, high = on_scale(effect)
    suffix = "%" if effect.scale == "ratio" else unit.strip()
    if effect.direction == "unclear" and not isnan(low):
        return f"shows no significant change: {_with_interval(center, low, high, suffix, '+')}"
    if center == 0:
        return "does not change"
    ends = (low, high) if center > 0 else (-high, -low)
    return f"{'rises' if center > 0 else 'falls'} by {_with_interval(abs(center), *ends, suffix, '')}"


def on_scale(effect: Any) -> tuple[float, float, float]:
    """Return an effect and the ends of its interval; ratios as a change in per cent."""
    center, low, high = effect.effect, effect.ci_low, effect.ci_high
    if effect.scale == "ratio":
        return 100 * (center - 1), 100 * (low - 1), 100 * (high - 1)
    return center, low, high


def _with_interval(center: float, low: float, high: float, suffix: str, sign: str) -> str:
    """Format a value so that half its interval's width has two significant digits, or one for per cent.

    A value without an interval has three significant digits.
    """
    half_width = (high - low) / 2
    decimals = (0 if suffix == "%" else 1) - _magnitude(half_width) if half_width > 0 else 2 - _magnitude(center)
    decimals += next(more for more in (0, 1, 2) if more == 2 or not _hides((center, low, high), decimals + more))
    behind = f" {suffix}" if suffix else ""
    text = f"{_fixed(center, decimals, sign)}{behind}"
    if isnan(low):
        return text
    of_end = " %" if suffix == "%" else ""
    return f"{text} [{_fixed(low, decimals, sign)}{of_end}, {_fixed(high, decimals, sign)}{of_end}]"


def _hides(values: tuple[float, ...], decimals: int) -> bool:
    """Return whether a value that is not 0 would look like 0."""
    return any(value and not float(_fixed(value, decimals)) for value in values if isfinite(value))


def _seeds(effect: Effect, baseline: str) -> str:
    ours, theirs = effect.seeds, effect.baseline_seeds
    count = f"{ours} seed{'s' if ours > 1 else ''}"
    if effect.paired:
        return count
    if ours == theirs == 1:
        return "one seed: no interval"
    other = f"{count} and {theirs} of {baseline}"
    return f"{other}: no interval" if min(ours, theirs) == 1 else f"{other}, not paired"


def _magnitude(value: float) -> int:
    """Return the power of ten of a value; 0 for 0."""
    return floor(log10(abs(value))) if value and isfinite(value) else 0


def _fixed(value: float, decimals: int, sign: str = "") -> str:
    if abs(value) >= _LARGEST or (value and decimals > _MOST_DECIMALS):
        return f"{value:{sign}.1e}"
    decimals = min(max(decimals, 0), _MOST_DECIMALS)
    rounded = round(value, decimals) + 0.0  # no -0
    return f"{rounded:{sign}.{decimals}f}"
