"""The styles of a model: what it is, which domains it has, and style codes of latents and references."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sg2bench import experiments, texts
from sg2bench.config import Model
from sg2bench.data import sets
from sg2bench.evaluation.outputs import to_float
from sg2bench.layout import CONFIG
from sg2bench.models import checkpoints
from sg2bench.models.networks import Networks
from sg2bench.samples.pictures import Picture

_MEAN_OF = 10_000


@dataclass(frozen=True)
class Style:
    """What the generator is given (style_dim,), for images of a domain; the reference it was taken from, if any."""

    domain: str
    name: str
    code: Tensor
    reference: Tensor | None = None


def model_and_domains(
    checkpoint: Path,
    experiment: str | os.PathLike[str] | None,
    variant: str | None,
    domains: Sequence[str] | None,
    by_reference: bool,
) -> tuple[Model, tuple[str, ...]]:
    """Sizes and domains of a checkpoint's networks: by an experiment, by the run's `config.yaml` that lies in the same
    folder, else by the file's shapes. `domains` gives other names. Raises ValueError where the names are not known.
    """
    own = checkpoint.parent / CONFIG
    if experiment is None and variant is not None:
        raise ValueError("--variant goes with --experiment")
    if experiment is None and not own.is_file():
        if by_reference and domains is None:
            raise ValueError("--references needs the names of the domains in the order of training: --domains cat,dog")
        model, number = checkpoints.infer(checkpoint)
        return model, name_domains(number, domains)
    loaded = experiments.load(own if experiment is None else Path(experiment))
    resolved = loaded.resolve(variant or next(iter(loaded.variants)))
    # A run's configuration names its domains; only an experiment may need its images for that.
    names = resolved.data.domains or sets.load(resolved.data, resolved.model.image_size).domains
    known = sorted(set(names))
    return resolved.model, name_domains(len(known), known if domains is None else domains)


def name_domains(number: int, named: Sequence[str] | None) -> tuple[str, ...]:
    """Names of a model's domains, in the order of its labels: as given, else `domain-0` and so on.

    Raises ValueError if other than `number` names are given, or one that cannot be a folder's.
    """
    if named is None:
        return tuple(f"domain-{label}" for label in range(number))
    names = tuple(named)
    if len(names) != number or len(set(names)) != number:
        raise ValueError(
            f"--domains {','.join(named)}: name each of the model's {number} domains once, in training's order"
        )
    if odd := [name for name in names if "\\" in name or not texts.is_domain(name)]:
        raise ValueError(
            f"--domains {','.join(named)}: `{odd[0]}` cannot name a folder; a domain's name is {texts.DOMAIN_MEANING}"
        )
    return names


@torch.inference_mode()
def latent_styles(nets: Networks, domains: Sequence[str], seeds: int, psi: float) -> list[Style]:
    """Styles of latents 0 … seeds - 1, the same for every domain, drawn toward the domain's mean style.

    `psi` 1 leaves them, 0 gives the mean: `mean + psi * (style - mean)`, over 10,000 latents. Raises ValueError if psi
    is given for a model without a mapping network.
    """
    if psi != 1 and nets.condition.code != "style":
        raise ValueError("--psi draws style codes together; this model has none")
    device = next(nets.parameters()).device
    latents = torch.cat([_latents(seed, 1, nets.latent_dim) for seed in range(seeds)]).to(device)
    many = _latents(0, _MEAN_OF, nets.latent_dim).to(device) if psi != 1 else None
    styles = []
    for label, domain in enumerate(domains):
        codes = nets.latent_style(latents, torch.full((seeds,), label, device=device))
        if many is not None:
            mean = nets.latent_style(many, torch.full((_MEAN_OF,), label, device=device)).mean(0)
            codes = mean + psi * (codes - mean)
        styles += [Style(domain, f"seed-{seed}", code) for seed, code in enumerate(codes)]
    return styles


@torch.inference_mode()
def reference_styles(nets: Networks, domains: Sequence[str], references: Sequence[Picture], where: Path) -> list[Style]:
    """Styles of reference images, each of the domain that its folder names.

    Raises ValueError for an unknown domain, or if the model takes no references.
    """
    if not nets.condition.takes_references:
        raise ValueError("this model takes no references: it is given the domain alone; use --latent-seeds 1")
    device = next(nets.parameters()).device
    styles = []
    for picture in references:
        if picture.group not in domains:
            raise ValueError(
                f"{where}: references lie in folders named by domain ({', '.join(domains)}), found `{picture.group}`; "
                "--domains gives the names in the order of training"
            )
        label = torch.tensor([domains.index(picture.group)], device=device)
        code = nets.reference_style(to_float(picture.pixels[None].to(device)), label)[0]
        styles.append(Style(picture.group, picture.stem, code, picture.pixels))
    return styles


def _latents(seed: int, number: int, latent_dim: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((number, latent_dim), dtype=np.float32))
