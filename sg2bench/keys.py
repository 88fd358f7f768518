"""Groups of an experiment's keys: what all of them share, those of the training, and of a claim."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from sg2bench import texts
from sg2bench.catalog import METRICS
from sg2bench.layout import with_home

Weight = Annotated[float, Field(ge=0, le=1e9)]


class Part(BaseModel):
    """A group of keys: no other keys, and never changed."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=(), allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _as_meant(cls, value: Any, info: ValidationInfo) -> Any:
        """Neither `true` nor a quoted "1e3" is a number, though Python can turn them into one; `~` is one's home."""
        assert info.field_name is not None
        kind = cls.model_fields[info.field_name].annotation
        if {int, float} & {kind, *get_args(kind)} and isinstance(value, bool | str):
            raise ValueError(f"expected a number, got {str(value).lower() if isinstance(value, bool) else repr(value)}")
        return with_home(value) if Path in {kind, *get_args(kind)} and isinstance(value, str | Path) else value


def suggestion(word: str, known: Iterable[str]) -> str:
    """What a wrong word may have meant, to end a message with."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f", did you mean `{close[0]}`?" if close else f" (known: {', '.join(known)})" if known else ""


def known_metric(name: str) -> str:
    """Return the name of a metric. Raises ValueError for any other."""
    if name not in METRICS:
        raise ValueError(f"no metric `{name}`{suggestion(name, METRICS)}")
    return name


MetricName = Annotated[str, AfterValidator(known_metric)]


class Train(Part):
    """Optimisation (paper, appendix: training details)."""

    steps: int = Field(100_000, ge=1, le=10**9)
    batch_size: int = Field(8, ge=1, le=65_536)
    learning_rate: float = Field(1e-4, gt=0, le=1e30)
    mapping_learning_rate: float = Field(1e-6, gt=0, le=1e30)
    beta1: float = Field(0.0, ge=0, lt=1)
    beta2: float = Field(0.99, ge=0, lt=1)
    weight_decay: Weight = 1e-4
    ema_decay: float = Field(0.999, ge=0, lt=1)
    start_from: Path | None = Field(None, description="NNNNNN_nets.ckpt whose four networks training begins with")
    sparse_heads: bool = Field(
        False, description="heads of domains that are not in the batch rest; else they decay, as published"
    )
    encoder_learns: Literal["latent", "both"] = Field(
        "latent", description="both: the style encoder learns on reference guidance, too; the authors advise against it"
    )
    precision: Literal["float32", "bf16"] = Field("float32", description="bf16: networks by autocast, R1 in float32")
    compile: bool | Literal["auto"] = Field(
        False, description="the step by torch.compile, R1 included, which takes minutes; auto: from 10,000 steps on"
    )
    crop_probability: float = Field(0.5, ge=0, le=1)
    mirror: bool = Field(True, description="flip images half the time")
    log_every: int = Field(10, ge=1, le=10**9, description="steps between lines of the training log")
    save_every: int = Field(1000, ge=1, le=10**9, description="steps between checkpoints to go on from")
    loader_workers: int = Field(0, ge=0, le=256, description="processes that load images; 0 loads in the trainer")
    evaluate_at: tuple[Annotated[int, Field(ge=1, strict=True)], ...] = Field(
        (), description="steps whose averaged networks are kept and measured, too"
    )
    evaluate_every: int | None = Field(None, ge=1, le=10**9, description="the same, every so many steps")
    best_by: MetricName | None = Field(
        None, description="metric that chooses the best of these steps; the first if null"
    )

    @model_validator(mode="after")
    def _evaluated_within_the_training(self) -> Train:
        if self.evaluate_at and self.evaluate_every:
            raise ValueError("give either evaluate_at or evaluate_every")
        if len(set(self.evaluate_at)) != len(self.evaluate_at):
            raise ValueError("evaluate_at: each step once")
        key = "evaluate_at" if self.evaluate_at else "evaluate_every"
        if (beyond := max([*self.evaluate_at, self.evaluate_every or 0])) > self.steps:
            raise ValueError(f"{key}: step {beyond} is beyond the last, train.steps is {self.steps}")
        if self.best_by and not self.evaluated_steps:
            raise ValueError("best_by chooses among the steps of evaluate_at or evaluate_every: give one of these")
        return self

    @property
    def compiles(self) -> bool:
        """Whether the step is to be compiled: where it was left open, if the steps saved pay for it."""
        return self.steps >= 10_000 if self.compile == "auto" else self.compile

    @property
    def evaluated_steps(self) -> list[int]:
        """The steps that are measured on the way, and the last; none unless asked for."""
        steps = set(self.evaluate_at)
        if self.evaluate_every:
            steps.update(range(self.evaluate_every, self.steps + 1, self.evaluate_every))
        return sorted(steps | {self.steps}) if steps else []


class Claim(Part):
    """What a term is for, and the one metric that decides whether it holds, named before the study runs."""

    term: str = Field(min_length=1, max_length=40, description="as sentences call it: cyc")
    variant: str = Field(description="the one without the term")
    purpose: str = Field(min_length=1, max_length=200, description="what the term is for")
    metric: MetricName
    mode: Literal["latent", "reference"] = "latent"
    margin: float | None = Field(None, gt=0, description="largest worsening to tolerate; the catalogue's if null")
    over: Literal["value", "swing"] = Field(
        "value", description="swing: how far the metric swings over the last evaluated steps, not its last value"
    )

    @field_validator("term", "purpose")
    @classmethod
    def _plain(cls, value: str) -> str:
        if not re.fullmatch(texts.PLAIN, value):
            raise ValueError(f"expected one line of text, which no spreadsheet takes for a formula, got {value!r}")
        return value

    @model_validator(mode="after")
    def _can_be_measured(self) -> Claim:
        if self.mode not in (modes := METRICS[self.metric].modes):
            raise ValueError(f"mode: {self.metric} is measured in mode {' and '.join(modes)}, not {self.mode}")
        return self

    @property
    def subject(self) -> tuple[str, str, str, str]:
        """What it is decided by."""
        return self.variant, self.metric, self.mode, self.over


def refuse_other_variants(claims: Sequence[Claim], variants: Sequence[str]) -> None:
    """Raise ValueError for a claim on no variant, on the first one, which others are compared with, or made twice."""
    for place, claim in enumerate(claims):
        key = f"claims.{place}"
        if claim.variant == variants[0]:
            raise ValueError(f"{key}.variant: `{claim.variant}` is the one that all others are compared with")
        if claim.variant not in variants:
            raise ValueError(f"{key}.variant: no variant `{claim.variant}`{suggestion(claim.variant, variants[1:])}")
        if claim.subject in [other.subject for other in claims[:place]]:
            raise ValueError(f"{key}: another claim on this variant, metric and mode is there already")


def refuse_unmeasured(claims: Iterable[Claim], measured: Collection[tuple[str, str]]) -> None:
    """Raise ValueError for a claim whose metric is not among those `measured`, each with its mode."""
    for place, claim in enumerate(claims):
        if (claim.metric, claim.mode) not in measured:
            known = ", ".join(f"{metric} {mode}" for metric, mode in measured)
            raise ValueError(
                f"claims.{place}.metric: {claim.metric} {claim.mode} is not measured, only {known}; add it to "
                "evaluate.metrics and evaluate.modes, or make no claims: --set claims=[]"
            )
