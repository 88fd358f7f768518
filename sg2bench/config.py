"""An experiment as typed data: YAML in, validated, unknown keys refused; overrides; a stable hash."""

from __future__ import annotations

import copy
import difflib
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=60)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
IMAGE_SIZES = (32, 64, 128, 256, 512)
REFERENCE_LINES = ("real", "sources")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class Data(_Part):
    """Where the images come from."""

    source: Literal["critters", "emoji", "folder"] = "critters"
    root: Path | None = Field(None, description="folder: ROOT/{train,val}/<domain>/*")
    domains: tuple[str, ...] | None = Field(None, description="use these domains only")
    train_per_domain: int = Field(500, ge=1, description="critters: training images drawn per domain")
    val_per_domain: int = Field(200, ge=1, description="critters: validation images drawn per domain")
    seed: int = Field(0, ge=0, description="critters: seed of the drawing")

    @model_validator(mode="after")
    def _folder_needs_root(self) -> Data:
        if self.source == "folder" and self.root is None:
            raise ValueError("source `folder` needs `root`, the folder that holds train/ and val/")
        return self


class Model(_Part):
    """Sizes of the four networks; the defaults are the paper's (section 3 and appendix)."""

    image_size: int = 256
    first_width: int | None = Field(None, ge=1, description="channels after from-RGB; 2**14 // image_size if null")
    max_width: int = Field(512, ge=1)
    style_dim: int = Field(64, ge=1)
    latent_dim: int = Field(16, ge=1)
    mapping_width: int = Field(512, ge=1)
    condition: Literal["style", "latent", "label", "label_map"] = Field(
        "style", description="what the generator is given: see models/networks.py; all but style are the paper's ladder"
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

    @model_validator(mode="after")
    def _high_pass_skip_fits(self) -> Model:
        if self.w_hpf and self.condition == "label_map":
            raise ValueError("condition label_map is StarGAN's generator, which has no high-pass skip: set w_hpf: 0")
        return self


class Loss(_Part):
    """Weights of the loss terms (paper, equations 1-6); 0 removes a term and its computation."""

    adv: Weight = 1.0
    sty: Weight = 1.0
    ds: Weight = 1.0
    cyc: Weight = 1.0
    r1: Weight = 1.0
    gp: Weight = Field(0.0, description="gradient penalty of WGAN-GP")
    cls: Weight = Field(0.0, description="classification by an auxiliary discriminator")
    objective: Literal["logistic", "wasserstein"] = Field("logistic", description="form of the adversarial term")
    ds_steps: int | None = Field(None, ge=1, description="steps until ds is 0, linearly; train.steps if null")

    @model_validator(mode="after")
    def _generator_has_a_loss(self) -> Loss:
        if not (self.adv or self.sty or self.cyc):
            raise ValueError("nothing would train the generator: give at least one of adv, sty, cyc a weight")
        if self.cls and not self.adv:
            raise ValueError("cls needs the discriminator, which adv: 0 switches off")
        return self


class Train(_Part):
    """Optimisation (paper, appendix: training details)."""

    steps: int = Field(100_000, ge=1)
    batch_size: int = Field(8, ge=1)
    learning_rate: float = Field(1e-4, gt=0)
    mapping_learning_rate: float = Field(1e-6, gt=0)
    beta1: float = Field(0.0, ge=0, lt=1)
    beta2: float = Field(0.99, ge=0, lt=1)
    weight_decay: Weight = 1e-4
    ema_decay: float = Field(0.999, ge=0, lt=1)
    start_from: Path | None = Field(None, description="NNNNNN_nets.ckpt whose four networks training begins with")
    sparse_heads: bool = Field(
        False, description="heads of domains that are not in the batch rest; else they decay, as published"
    )
    precision: Literal["float32", "bf16"] = Field("float32", description="bf16: networks by autocast, R1 in float32")
    compile: bool = Field(False, description="networks by torch.compile, R1 without; worth it for thousands of steps")
    crop_probability: float = Field(0.5, ge=0, le=1)
    log_every: int = Field(10, ge=1, description="steps between lines of the training log")
    save_every: int = Field(1000, ge=1, description="steps between checkpoints to go on from")
    loader_workers: int = Field(0, ge=0, description="processes that load images; 0 loads in the trainer")


_SHARES = ("precision", "recall", "density", "coverage")
METRICS = {
    "offline": ("fd_alexnet", "lpips", "fd_alexnet_inf", "kd_alexnet", *_SHARES, "fd_efflite0"),
    "standard": ("fid", "lpips", "fid_inf", "kid", *_SHARES),
    "paper": ("fid", "lpips", "fid_inf", "kid", *_SHARES),
}
"""What each protocol can measure; the first two are measured unless others are asked for."""
ALL_METRICS = tuple(dict.fromkeys(metric for metrics in METRICS.values() for metric in metrics))


class Evaluate(_Part):
    """What is measured, on how many images; part of the protocol and its hash."""

    protocol: Literal["offline", "standard", "paper"] = "offline"
    metrics: tuple[str, ...] = Field((), description="those of the protocol; its usual two if empty")
    modes: tuple[Literal["latent", "reference"], ...] = ("latent", "reference")
    resize: int = Field(224, ge=32, le=512, description="offline: side in pixels of the images that the network sees")
    sources: int | None = Field(None, ge=2, description="validation images translated per domain; all if null")
    outputs_per_source: int = Field(10, ge=1)
    batch_size: int = Field(32, ge=1, description="images at once on a GPU; sources in a batch of `paper`")
    seed: int = Field(0, ge=0, description="draws latents and references")

    @model_validator(mode="before")
    @classmethod
    def _usual_metrics(cls, values: Any) -> Any:
        if isinstance(values, Mapping) and not values.get("metrics"):
            values = {**values, "metrics": METRICS.get(str(values.get("protocol", "offline")), ("?",))[:2]}
        return values

    @model_validator(mode="after")
    def _metrics_of_the_protocol(self) -> Evaluate:
        if unknown := [metric for metric in self.metrics if metric not in METRICS[self.protocol]]:
            known = ", ".join(METRICS[self.protocol])
            raise ValueError(f"metrics: protocol {self.protocol} has no {', '.join(unknown)} (it has {known})")
        if "lpips" in self.metrics and self.outputs_per_source < 2:
            raise ValueError("outputs_per_source: lpips compares the outputs of a source, and needs 2 or more")
        return self

    @property
    def as_published(self) -> bool:
        """Whether outputs are made and averaged as in the published evaluation, with its habits."""
        return self.protocol == "paper"

    @field_validator("metrics", "modes")
    @classmethod
    def _some_and_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value or len(set(value)) != len(value):
            raise ValueError("needs at least one entry, each once")
        return value


class Experiment(_Part):
    """One experiment: a configuration, the variants that change it, the seeds that repeat it."""

    name: Name
    description: str = ""
    data: Data = Data()
    model: Model = Model()
    loss: Loss = Loss()
    train: Train = Train()
    evaluate: Evaluate = Evaluate()
    variants: dict[Name, dict[str, Any]] = Field({"full": {}}, min_length=1)
    seeds: tuple[Annotated[int, Field(ge=0, lt=2**31)], ...] = Field((0,), min_length=1)
    margins: dict[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]] = Field(
        {}, description="gate: by metric, the share of the baseline's mean that is no worsening yet"
    )

    @field_validator("margins")
    @classmethod
    def _of_known_metrics(cls, value: dict[str, float]) -> dict[str, float]:
        for metric in value:
            if metric not in ALL_METRICS:
                raise ValueError(f"no metric `{metric}`{_suggestion(metric, ALL_METRICS)}")
        return value

    @model_validator(mode="after")
    def _variants_resolve(self) -> Experiment:
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError("seeds: each seed once")
        for variant in self.variants:
            if variant in REFERENCE_LINES:
                raise ValueError(f"variants: the name `{variant}` is kept for a reference line")
            if self.variants[variant]:
                self.resolve(variant)
        return self

    @model_validator(mode="after")
    def _losses_fit_the_networks(self) -> Experiment:
        condition = self.model.condition
        if condition.startswith("label"):
            if self.loss.sty or self.loss.ds:
                raise ValueError(f"model.condition {condition} has no style: set loss.sty and loss.ds to 0")
            if "reference" in self.evaluate.modes:
                raise ValueError(f"model.condition {condition} takes no reference: set evaluate.modes to [latent]")
        if bool(self.loss.cls) != (self.model.discriminator == "auxiliary"):
            raise ValueError("loss.cls and model.discriminator auxiliary go together: give both or neither")
        return self

    def resolve(self, variant: str) -> Experiment:
        """The experiment with this variant's overrides applied and no other variant left."""
        if variant not in self.variants:
            raise ValueError(f"no variant `{variant}`{_suggestion(variant, self.variants)}")
        overrides = self.variants[variant]
        for key in overrides:
            if key.split(".")[0] not in ("data", "model", "loss", "train"):
                raise ValueError(
                    f"variants.{variant}: `{key}` cannot be changed by a variant (only data, model, loss and train can)"
                )
        plain = self.model_dump(mode="json") | {"variants": {variant: {}}}
        try:
            return Experiment.model_validate(_with_overrides(plain, overrides))
        except ValidationError as error:
            raise ValueError(f"variants.{variant}: {describe(error)}") from None


def training_hash(experiment: Experiment, data_fingerprint: str, files: Mapping[str, str]) -> str:
    """Hash (16 hex digits) of all that decides the weights of a resolved run, its seed apart.

    The images count by their fingerprint and `files`, that training begins with, by their SHA-256, not by where they
    are.
    """
    plain = experiment.model_dump(mode="json", include={"model", "loss", "train"}) | {"data": data_fingerprint}
    for key in ("log_every", "save_every", "loader_workers", "start_from"):
        del plain["train"][key]
    for key, usual in (("sparse_heads", False), ("precision", "float32"), ("compile", False)):
        if plain["train"][key] == usual:
            del plain["train"][key]  # the hash is that of before there was the key
    del plain["model"]["fan_weights"]
    return stable_hash(plain | {"files": dict(files)})


def stable_hash(value: object) -> str:
    """First 16 hex digits of the SHA-256 of `value` as JSON with sorted keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def load(path: Path | None, overrides: Sequence[str] = ()) -> Experiment:
    """Read an experiment from YAML (the defaults without a file); `overrides` are `a.b=value`, the value in YAML.

    Raises ValueError that names the file, the key and what is wrong with it.
    """
    if path is None:
        return _experiment({"name": "default"}, overrides, "--set")
    try:
        plain = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{path}: no such experiment file") from None
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise ValueError(f"{path}: cannot be read as YAML: {' '.join(str(error).split())}") from None
    if not isinstance(plain, dict):
        raise ValueError(f"{path}: an experiment is a mapping (name, data, model, …), got {type(plain).__name__}")
    return _experiment({"name": path.stem} | plain, overrides, str(path))


def _experiment(plain: dict[str, Any], overrides: Sequence[str], where: str) -> Experiment:
    try:
        return Experiment.model_validate(_with_overrides(plain, dict(_parse_override(text) for text in overrides)))
    except ValidationError as error:
        raise ValueError(f"{where}: {describe(error)}") from None
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def dump(experiment: Experiment) -> str:
    """The experiment as YAML that `load` reads back."""
    return yaml.safe_dump(experiment.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def describe(error: ValidationError) -> str:
    """A validation error in one line: the keys, what is wrong, and the nearest known key."""
    return "; ".join(_describe_one(item) for item in error.errors())


def _describe_one(item: Mapping[str, Any]) -> str:
    where = [str(part) for part in item["loc"]]
    if item["type"] == "extra_forbidden":
        fields: Any = Experiment.model_fields
        for part in where[:-1]:
            fields = getattr(fields[part].annotation, "model_fields", {}) if part in fields else {}
        return f"unknown key `{'.'.join(where)}`{_suggestion(where[-1], fields)}"
    message = item["msg"].removeprefix("Value error, ")
    return f"{'.'.join(where)}: {message}" if where else message


def _suggestion(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f", did you mean `{close[0]}`?" if close else f" (known: {', '.join(known)})" if known else ""


def _parse_override(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise ValueError(f"--set {text}: expected key=value, as in --set train.steps=200")
    try:
        return key, yaml.safe_load(value)
    except yaml.YAMLError:
        raise ValueError(f"--set {text}: the value is not YAML") from None


def _with_overrides(plain: dict[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """`plain` with each `a.b` replaced; a mapping given for a group of keys changes just the keys it names."""
    result = copy.deepcopy(plain)
    for dotted, value in overrides.items():
        if isinstance(value, Mapping) and dotted in ("data", "model", "loss", "train", "evaluate"):
            result = _with_overrides(result, {f"{dotted}.{key}": item for key, item in value.items()})
            continue
        *parents, last = dotted.split(".")
        part = result
        for parent in parents:
            part = part.setdefault(parent, {})
            if not isinstance(part, dict):
                raise ValueError(f"`{dotted}`: `{parent}` is a value, not a group of keys")
        part[last] = value
    return result
