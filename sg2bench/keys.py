"""Groups of an experiment's keys: their base class, training, resources and claims."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from sg2bench import texts
from sg2bench.catalog import METRICS, Mode
from sg2bench.layout import with_home

Weight = Annotated[float, Field(ge=0, le=1e9)]


class Part(BaseModel):
    """A group of keys: immutable, and other keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=(), allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _as_meant(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse `true` and a quoted "1e3" as numbers, which Python would convert; expand `~` in paths."""
        assert info.field_name is not None
        kind = cls.model_fields[info.field_name].annotation
        if {int, float} & {kind, *get_args(kind)} and isinstance(value, bool | str):
            raise ValueError(f"expected a number, got {str(value).lower() if isinstance(value, bool) else repr(value)}")
        return with_home(value) if Path in {kind, *get_args(kind)} and isinstance(value, str | Path) else value


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return the end of an error message: the known word most like this one, or all known words."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f", did you mean `{close[0]}`?" if close else f" (known: {', '.join(known)})" if known else ""


def known_metric(name: str) -> str:
    """Return the name if it is that of a metric. Raises ValueError otherwise."""
    if name not in METRICS:
        raise ValueError(f"no metric `{name}`{suggestion(name, METRICS)}")
    return name


def _once(values: tuple[Any, ...]) -> tuple[Any, ...]:
    for place, value in enumerate(values):
        if value in values[:place]:
            raise ValueError(f"`{value}` is listed twice")
    return values


_MOST_EVALUATED = 10_000
Once = AfterValidator(_once)
"""Refuses a list that names something twice."""
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
    start_from: Path | None = Field(None, description="NNNNNN_nets.ckpt whose four networks training starts from")
    sparse_heads: bool = Field(
        False, description="leave heads of domains that are not in the batch unchanged; else they decay, as published"
    )
    encoder_learns: Literal["latent", "both"] = Field(
        "latent",
        description="both: train the style encoder on reference guidance, too, which the authors advise against",
    )
    precision: Literal["float32", "bf16"] = Field("float32", description="bf16: autocast, with R1 in float32")
    compile: bool | Literal["auto"] = Field(
        "auto",
        description="true: on a GPU, record the step as CUDA graphs, which takes seconds; on a CPU, compile it, which "
        "takes minutes and needs a C++ compiler and Python's headers; auto: on a GPU, and from 10,000 steps on a CPU",
    )
    crop_probability: float = Field(0.5, ge=0, le=1)
    mirror: bool = Field(True, description="flip images half the time")
    log_every: int = Field(10, ge=1, le=10**9, description="steps between lines of the training log")
    save_every: int = Field(1000, ge=1, le=10**9, description="steps between checkpoints to resume from")
    loader_workers: int = Field(0, ge=0, le=256, description="processes that load images; 0 loads in the trainer")
    evaluate_at: Annotated[tuple[Annotated[int, Field(ge=1, strict=True)], ...], Once] = Field(
        (), description="steps whose averaged networks are also kept and measured"
    )
    evaluate_every: int | None = Field(
        None, ge=1, le=10**9, description="steps between evaluations, instead of evaluate_at"
    )
    best_by: MetricName | None = Field(
        None, description="metric that chooses the best of these steps; the first metric if null"
    )

    @model_validator(mode="after")
    def _evaluated_within_the_training(self) -> Train:
        if self.evaluate_at and self.evaluate_every:
            raise ValueError("give either evaluate_at or evaluate_every")
        key = "evaluate_at" if self.evaluate_at else "evaluate_every"
        if (beyond := max([*self.evaluate_at, self.evaluate_every or 0])) > self.steps:
            raise ValueError(f"{key}: step {beyond} is beyond the last step (train.steps is {self.steps})")
        if self.evaluate_every and (count := self.steps // self.evaluate_every) > _MOST_EVALUATED:
            raise ValueError(
                f"evaluate_every: {count} steps would be evaluated; at most {_MOST_EVALUATED} are possible"
            )
        if self.best_by and not self.evaluated_steps:
            raise ValueError("best_by needs steps to choose from: give evaluate_at or evaluate_every")
        return self

    @property
    def evaluated_steps(self) -> list[int]:
        """Steps that are measured during training, and the last one; empty unless requested."""
        steps = set(self.evaluate_at)
        if self.evaluate_every:
            steps.update(range(self.evaluate_every, self.steps + 1, self.evaluate_every))
        return sorted(steps | {self.steps}) if steps else []


class Resources(Part):
    """Resources of a run; never part of a hash."""

    cpus: float = Field(1, ge=0.1, le=1024, description="CPU cores per run")
    gpus: float = Field(
        1, ge=0.01, le=1024, description="GPUs per run; with 0.25 four runs share one, with 4 each run trains on four"
    )

    @field_validator("gpus")
    @classmethod
    def _a_share_or_whole(cls, value: float) -> float:
        if value > 1 and value != int(value):
            raise ValueError(f"must be a share up to 1 or a whole number, got {value}")
        return value

    @property
    def processes(self) -> int:
        """Number of processes of a run: one, or one per GPU."""
        return max(1, int(self.gpus))


class Claim(Part):
    """A claim about the purpose of a term, with the one metric that decides it, named before the study runs."""

    term: str = Field(min_length=1, max_length=40, description="name of the term in sentences, such as cyc")
    variant: str = Field(description="variant without the term")
    purpose: str = Field(min_length=1, max_length=200, description="what the term is for")
    metric: MetricName
    mode: Mode = "latent"
    margin: float | None = Field(None, gt=0, description="largest worsening to tolerate; the catalogue's if null")
    over: Literal["value", "swing"] = Field(
        "value", description="swing: how far the metric swings over the last evaluated steps, not its last value"
    )

    @field_validator("term", "purpose")
    @classmethod
    def _plain(cls, value: str) -> str:
        if not re.fullmatch(texts.PLAIN, value):
            raise ValueError(f"expected plain text on one line, not a spreadsheet formula, got {value!r}")
        return value

    @model_validator(mode="after")
    def _can_be_measured(self) -> Claim:
        if self.mode not in (modes := METRICS[self.metric].modes):
            raise ValueError(f"mode: {self.metric} is measured in mode {' and '.join(modes)}, not {self.mode}")
        return self

    @property
    def subject(self) -> tuple[str, str, str, str]:
        """What decides the claim; no two claims may share it."""
        return self.variant, self.metric, self.mode, self.over


def refuse_other_variants(claims: Sequence[Claim], variants: Sequence[str]) -> None:
    """Raise ValueError for a claim on an unknown variant or on the first one, or for a duplicate."""
    for place, claim in enumerate(claims):
        key = f"claims.{place}"
        if claim.variant == variants[0]:
            raise ValueError(f"{key}.variant: `{claim.variant}` is the first variant; others are compared with it")
        if claim.variant not in variants:
            raise ValueError(f"{key}.variant: no variant `{claim.variant}`{suggestion(claim.variant, variants[1:])}")
        if claim.subject in [other.subject for other in claims[:place]]:
            raise ValueError(f"{key}: an earlier claim has the same variant, metric, mode and `over`")


def refuse_unmeasured(claims: Iterable[Claim], measured: Collection[tuple[str, str]]) -> None:
    """Raise ValueError for a claim whose metric is not among those `measured`, each with its mode."""
    for place, claim in enumerate(claims):
        if (claim.metric, claim.mode) not in measured:
            known = ", ".join(f"{metric} {mode}" for metric, mode in measured)
            raise ValueError(
                f"claims.{place}.metric: {claim.metric} {claim.mode} is not measured, only {known}; add it to "
                "evaluate.metrics and evaluate.modes, or drop all claims with --set claims=[]"
            )
