"""What an entry of the catalogue holds: one metric, how to compute it, and how to read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Literal

Mode = Literal["latent", "reference"]
Question = Literal["realistic", "reached", "kept", "followed"]
QUESTIONS: dict[Question, str] = {
    "realistic": "like the target's images",
    "reached": "taken for the target domain",
    "kept": "the source's content still there",
    "followed": "the reference's style taken, and many styles",
}
"""A translation is right when all four hold."""

Need = Literal["real", "held_out", "outputs", "sources", "references", "truth", "factors"]


@dataclass(frozen=True)
class Metric:
    """One metric: how to compute it, and how to read it."""

    name: str
    measure: str
    """The module of `evaluation.measures` that computes it."""
    quantity: str
    """Which of the measure's quantities it is."""
    extractor: Mapping[str, str]
    """By protocol that has this metric: the network whose features it is computed on."""
    unit: str
    reading: str
    noun: str = ""
    """What a sentence calls it, as `the position error`; empty for its name."""
    symbol: str = ""
    """Short unit behind a value, empty where it has none."""
    question: Question = "realistic"
    better: Literal["lower", "higher"] = "lower"
    signed: bool = False
    """Whether it may be negative."""
    most: float = inf
    """The largest value it can have."""
    margin: float = 0.10
    """The largest worsening that a gate tolerates and a claim calls none, as a share of the baseline."""
    absolute: bool = False
    """Whether the margin is in the metric's own unit instead, as a share of a value near 0 means nothing."""
    counted: bool = False
    """Whether it is a share of images, and so moves in steps of one image."""
    needs: frozenset[Need] = frozenset({"real"})
    """`real`: training images of the target; `held_out`: its validation images; `outputs`: two or more outputs of each
    source; `sources`: validation images that were translated; `references`: those that gave the style; `truth`: the one
    right image of a source and a reference; `factors`: what an image was made from.
    """
    modes: tuple[Mode, ...] = ("latent", "reference")
    raw: frozenset[str] = frozenset()
    """Protocols in which it sees what the generator gave, neither clamped nor rounded to 8 bits."""
    default: bool = False
    """Whether it is measured unless others are asked for."""

    @property
    def sign(self) -> int:
        """1 where more is worse, else -1."""
        return 1 if self.better == "lower" else -1

    @property
    def by_ratio(self) -> bool:
        """Whether two variants are compared by the ratio of their values, as effects and chance of a distance or error
        multiply; by their difference if it is a share or a count, or may be negative.
        """
        return self.most == inf and not (self.signed or self.counted or self.absolute)

    @property
    def phrase(self) -> str:
        """What a sentence calls it."""
        return self.noun or self.name

    @property
    def arrow(self) -> str:
        return "↓" if self.better == "lower" else "↑"
