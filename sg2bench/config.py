"""An experiment as validated, typed data: its keys and its variants."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, ValidationError, field_validator, model_validator

from sg2bench import texts
from sg2bench.catalog import METRICS, REFERENCE_LINES, Mode, default_metrics, metrics_of
from sg2bench.keys import Claim, Once, Part, Resources, Train, Weight, known_metric, refuse_other_variants, suggestion

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=60)]
IMAGE_SIZES = (32, 64, 128, 256, 512)


class Condition(NamedTuple):
    """What a generator is given besides the image: a code, the domain as a one-hot label, or both."""

    code: Literal["style", "latent"] | None
    """`style`: from the mapping network or the style encoder; `latent`: the latent, which the encoder recovers."""
    label: bool

    @property
    def takes_references(self) -> bool:
        """Whether a reference image can give the code."""
        return self.code is not None


CONDITIONS = {
    "style": Condition("style", label=False),
    "latent": Condition("latent", label=True),
    "label": Condition(None, label=True),
    "label_map": Condition(None, label=True),
}


class Data(Part):
    """Where the images come from."""

    source: Literal["critters", "emoji", "folder", "glyphs"] = "critters"
    root: Path | None = Field(None, description="folder: ROOT/{train,val}/<domain>/*")
    domains: tuple[str, ...] | None = Field(None, description="use these domains only")
    train_per_domain: int = Field(500, ge=1, le=1_000_000, description="critters: training images drawn per domain")
    val_per_domain: int = Field(200, ge=1, le=1_000_000, description="critters: validation images drawn per domain")
    seed: int = Field(0, ge=0, lt=2**31, description="critters: seed of the drawing")

    @field_validator("domains", mode="before")
    @classmethod
    def _names_are_text(cls, value: Any) -> Any:
        """A domain may be called `0`."""
        if not isinstance(value, list | tuple):
            return value
        names = [str(name) if type(name) is int else name for name in value]
        return [texts.checked_domain(name) if isinstance(name, str) else name for name in names]

    @model_validator(mode="after")
    def _folder_needs_root(self) -> Data:
        if self.source == "folder" and self.root is None:
            raise ValueError("source `folder` needs `root`, the folder that holds train/ and val/")
        if self.source == "critters" and self.root is not None:
            raise ValueError("source `critters` is drawn and reads no `root`; for your own images set source: folder")
        return self


class Model(Part):
    """Sizes of the four networks; the defaults are the paper's (section 3 and appendix)."""

    image_size: int = 256
    first_width: int | None = Field(
        None, ge=1, le=4096, description="channels after from-RGB; 2**14 // image_size if null"
    )
    max_width: int = Field(512, ge=1, le=8192)
    style_dim: int = Field(64, ge=1, le=8192)
    latent_dim: int = Field(16, ge=1, le=8192)
    mapping_width: int = Field(512, ge=1, le=8192)
    condition: Literal["style", "latent", "label", "label_map"] = Field(
        "style", description="input of the generator, see models/networks.py; all but style are for the paper's ladder"
    )
    discriminator: Literal["multi_task", "auxiliary"] = Field(
        "multi_task", description="a logit per domain, or one logit and a classifier of domains"
    )
    w_hpf: Weight = Field(0, description="high-pass skip for faces, 1 for CelebA-HQ; needs the face-alignment network")
    fan_weights: Path | None = Field(None, description="w_hpf: file of the face-alignment network (wing.ckpt)")

    @field_validator("image_size")
    @classmethod
    def _power_of_two(cls, value: int) -> int:
        if value not in IMAGE_SIZES:
            raise ValueError(f"must be one of {', '.join(map(str, IMAGE_SIZES))}, got {value}")
        return value

    @property
    def given(self) -> Condition:
        """Return the meaning of `condition`."""
        return CONDITIONS[self.condition]

    @model_validator(mode="after")
    def _high_pass_skip_fits(self) -> Model:
        if self.w_hpf and self.condition == "label_map":
            raise ValueError("condition label_map is StarGAN's generator, which has no high-pass skip: set w_hpf: 0")
        return self


class Loss(Part):
    """Weights of the loss terms (paper, equations 1-6); 0 removes a term and its computation."""

    adv: Weight = 1.0
    sty: Weight = 1.0
    ds: Weight = 1.0
    cyc: Weight = 1.0
    r1: Weight = 1.0
    gp: Weight = Field(0.0, description="gradient penalty of WGAN-GP")
    cls: Weight = Field(0.0, description="classification by an auxiliary discriminator")
    objective: Literal["logistic", "wasserstein"] = Field("logistic", description="form of the adversarial term")
    ds_steps: int | None = Field(None, ge=1, le=10**9, description="steps until ds is 0, linearly; train.steps if null")

    @model_validator(mode="after")
    def _generator_has_a_loss(self) -> Loss:
        if not (self.adv or self.sty or self.cyc):
            raise ValueError("nothing would train the generator: give at least one of adv, sty, cyc a weight")
        if self.gp and not self.adv:
            raise ValueError("gp needs adv: without it there is no discriminator, whose gradient gp penalises")
        if self.cls and not self.adv:
            raise ValueError("cls needs the discriminator, which adv: 0 switches off")
        return self


class Evaluate(Part):
    """What is measured, on how many images; part of the protocol and its hash."""

    protocol: Literal["offline", "standard", "paper", "modern"] = "offline"
    metrics: Annotated[tuple[str, ...], Once] = Field(
        (), description="empty: the protocol's default metrics that the images allow"
    )
    modes: Annotated[tuple[Mode, ...], Once] = Field(("latent", "reference"), min_length=1)
    resize: int = Field(224, ge=32, le=512, description="offline: side in pixels of the images that the network sees")
    sources: int | None = Field(
        None, ge=2, le=1_000_000, description="validation images translated per domain; all if null"
    )
    outputs_per_source: int = Field(10, ge=1, le=10_000)
    batch_size: int = Field(32, ge=1, le=65_536, description="images per batch on a GPU; sources per batch in `paper`")
    seed: int = Field(0, ge=0, lt=2**31, description="seed of latents and references")

    @model_validator(mode="after")
    def _metrics_of_the_protocol(self) -> Evaluate:
        known = metrics_of(self.protocol)
        if unknown := [metric for metric in self.metrics if metric not in known]:
            raise ValueError(
                f"metrics: protocol {self.protocol} has no {', '.join(unknown)} (it has {', '.join(known)})"
            )
        if unmeasured := [metric for metric in self.metrics if not self.measures(metric)]:
            modes = " and ".join(METRICS[unmeasured[0]].modes)
            raise ValueError(f"metrics: {unmeasured[0]} is measured in mode {modes}, which evaluate.modes leaves out")
        asked = self.metrics or default_metrics(self.protocol)
        several = [metric for metric in asked if "outputs" in METRICS[metric].needs and self.measures(metric)]
        if several and self.outputs_per_source < 2:
            raise ValueError(f"outputs_per_source: {several[0]} compares the outputs of a source, and needs 2 or more")
        return self

    @property
    def as_published(self) -> bool:
        """Return whether to make and average outputs exactly as the published evaluation does."""
        return self.protocol == "paper"

    @property
    def measured(self) -> list[tuple[str, str]]:
        """Return every metric with every mode in which it is measured."""
        return [(metric, mode) for metric in self.metrics for mode in self.modes if mode in METRICS[metric].modes]

    def measures(self, metric: str) -> bool:
        """Return whether a metric is measured in at least one of the modes."""
        return bool(set(METRICS[metric].modes) & set(self.modes))


class Experiment(Part):
    """One experiment: a configuration, the variants that change it, the seeds that repeat it."""

    name: Name
    description: str = ""
    data: Data = Data()
    model: Model = Model()
    loss: Loss = Loss()
    train: Train = Train()
    evaluate: Evaluate = Evaluate()
    resources: Resources = Resources()
    variants: dict[Name, dict[str, Any]] = Field({"full": {}}, min_length=1)
    seeds: Annotated[tuple[Annotated[int, Field(ge=0, lt=2**31, strict=True)], ...], Once] = Field((0,), min_length=1)
    margins: dict[str, Annotated[float, Field(gt=0, strict=True)]] = Field(
        {}, description="gate: tolerated worsening by metric, in the unit of docs/metrics.md"
    )
    claims: tuple[Claim, ...] = Field((), description="purpose of terms, with the metric that decides each")

    @field_validator("margins")
    @classmethod
    def _of_known_metrics(cls, value: dict[str, float]) -> dict[str, float]:
        for metric in value:
            known_metric(metric)
        return value

    @model_validator(mode="after")
    def _variants_resolve(self) -> Experiment:
        for variant in self.variants:
            if variant in REFERENCE_LINES:
                raise ValueError(f"variants: the name `{variant}` is reserved for a reference line")
            if self.variants[variant]:
                self.resolve(variant)
        return self

    @model_validator(mode="after")
    def _claims_compare_variants(self) -> Experiment:
        refuse_other_variants(self.claims, tuple(self.variants))
        return self

    @model_validator(mode="after")
    def _losses_fit_the_networks(self) -> Experiment:
        condition = self.model.condition
        if not self.model.given.takes_references:
            if self.loss.sty or self.loss.ds:
                raise ValueError(f"model.condition {condition} has no style: set loss.sty and loss.ds to 0")
            if "reference" in self.evaluate.modes:
                raise ValueError(f"model.condition {condition} takes no reference: set evaluate.modes to [latent]")
        if self.train.encoder_learns == "both" and condition != "style":
            raise ValueError(
                f"train.encoder_learns both needs model.condition style, got {condition}: only then does training use "
                "reference guidance"
            )
        if self.train.batch_size % self.resources.processes:
            raise ValueError(
                f"train.batch_size: {self.train.batch_size} images cannot be shared equally by {self.resources.gpus:g} "
                "GPUs (resources.gpus)"
            )
        if bool(self.loss.cls) != (self.model.discriminator == "auxiliary"):
            raise ValueError("loss.cls and model.discriminator auxiliary go together: give both or neither")
        return self

    def first(self) -> Experiment:
        """Return the resolved first variant, whose images and image size are those of all variants: `plan` refuses
        others. The unresolved experiment's own may differ.
        """
        return self.resolve(next(iter(self.variants)))

    def resolve(self, variant: str) -> Experiment:
        """Return the experiment with this variant's overrides applied, without other variants and without claims."""
        if variant not in self.variants:
            raise ValueError(f"no variant `{variant}`{suggestion(variant, self.variants)}")
        overrides = self.variants[variant]
        refuse_repeated(overrides, f"variants.{variant}")
        for key in overrides:
            if key.split(".")[0] not in ("data", "model", "loss", "train"):
                raise ValueError(
                    f"variants.{variant}: `{key}` cannot be changed by a variant (only model, loss and train can)"
                )
        alone = self.model_copy(update={"variants": {variant: {}}, "claims": ()})
        plain = alone.model_dump(mode="json")
        try:
            resolved = Experiment.model_validate(with_overrides(plain, overrides))
        except ValidationError as error:
            raise ValueError(f"variants.{variant}: {describe(error)}") from None
        if resolved.train.best_by != self.train.best_by:
            raise ValueError(f"variants.{variant}: `train.best_by` cannot be changed by a variant")
        return resolved


def describe(error: ValidationError) -> str:
    """Describe a validation error in one line: the keys, what is wrong, and the nearest known key."""
    items = error.errors()
    # A bad item also makes its list too short: only the item is named.
    lists = {item["loc"][:end] for item in items for end in range(len(item["loc"]))}
    return "; ".join(_describe_one(item) for item in items if item["loc"] not in lists)


def _describe_one(item: Mapping[str, Any]) -> str:
    where = [str(part) for part in item["loc"]]
    if item["type"] == "extra_forbidden":
        fields: Any = Experiment.model_fields
        for part in where[:-1]:
            fields = getattr(fields[part].annotation, "model_fields", {}) if part in fields else {}
        return f"unknown key `{'.'.join(where)}`{suggestion(where[-1], fields)}"
    message = item["msg"].removeprefix("Value error, ")
    if item["type"] != "value_error" and isinstance(item["input"], bool | int | float | str):
        message += f", got {texts.one_line(repr(item['input']))[:60]}"
    return f"{'.'.join(where)}: {message}" if where else message


_GROUPS = tuple(name for name, field in Experiment.model_fields.items() if isinstance(field.default, Part))
"""Keys that are groups of keys: `data`, `model` and so on."""


def refuse_repeated(overrides: Mapping[str, Any], where: str) -> None:
    """Raise ValueError if a dotted key is given twice, such as `train.steps` and `train: {steps: …}`."""
    given: set[str] = set()
    for dotted, value in overrides.items():
        keys = {f"{dotted}.{key}" for key in value} if isinstance(value, Mapping) and dotted in _GROUPS else {dotted}
        if twice := sorted(given & keys):
            raise ValueError(f"{where}: `{twice[0]}` is given twice")
        given |= keys


def with_overrides(plain: dict[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return `plain` with each `a.b` replaced; a mapping for a group of keys changes only the keys that it names."""
    result = copy.deepcopy(plain)
    for dotted, value in overrides.items():
        if isinstance(value, Mapping) and dotted in _GROUPS:
            result = with_overrides(result, {f"{dotted}.{key}": item for key, item in value.items()})
            continue
        *parents, last = dotted.split(".")
        part = result
        for parent in parents:
            part = part.setdefault(parent, {})
            if not isinstance(part, dict):
                raise ValueError(f"`{dotted}`: `{parent}` is a value, not a group of keys")
        part[last] = value
    return result
