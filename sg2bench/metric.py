"""An entry of the catalogue: one metric, how to compute it and how to read it."""

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
    "kept": "the source's content is still there",
    "followed": "the reference's style is applied, and styles are diverse",
}
"""A translation is right if all four hold."""

Need = Literal["real", "domains", "held_out", "outputs", "sources", "references", "truth", "factors"]


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
    definition: str
    """What is measured, with its unit if it has one."""
    reading: str
    noun: str = ""
    """Its name in a sentence, such as `the position error`; empty to use `name`."""
    symbol: str = ""
    """Short unit after a value; empty if it has none."""
    question: Question = "realistic"
    better: Literal["lower", "higher"] = "lower"
    signed: bool = False
    """Whether it can be negative."""
    most: float = inf
    """The largest value it can have."""
    margin: float = 0.10
    """Largest worsening that a gate tolerates and a claim ignores, as a share of the baseline."""
    absolute: bool = False
    """Whether the margin is in the metric's own unit instead; a share of a value near 0 is meaningless."""
    counted: bool = False
    """Whether it is a share of images, and so changes in steps of one image."""
    needs: frozenset[Need] = frozenset({"real"})
    """`real`: training images of the target; `domains`: those of two or more; `held_out`: its validation images;
    `outputs`: two or more outputs per source; `sources`: the translated validation images; `references`: the images
    that gave the style; `truth`: the one right image for a source and a reference; `factors`: the values that an image
    was drawn from.
    """
    modes: tuple[Mode, ...] = ("latent", "reference")
    raw: frozenset[str] = frozenset()
    """Protocols in which it sees raw generator output, neither clamped nor rounded to 8 bits."""
    default: bool = False
    """Whether it is measured by default."""

    @property
    def sign(self) -> int:
        """1 where more is worse, else -1."""
        return 1 if self.better == "lower" else -1

    @property
    def by_ratio(self) -> bool:
        """Whether to compare two variants by the ratio of their values, as effects and noise of distances and errors
        are multiplicative. Shares, counts and values that can be negative are compared by difference.
        """
        return self.most == inf and not (self.signed or self.counted or self.absolute)

    @property
    def phrase(self) -> str:
        """Its name in a sentence."""
        return self.noun or self.name

    @property
    def arrow(self) -> str:
        return "↓" if self.better == "lower" else "↑"
