"""Styles of a checkpoint: its model and domains, and style codes from latents and references."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sg2bench import experiments, texts
from sg2bench.config import Experiment, Model
from sg2bench.data import sets
from sg2bench.evaluation.outputs import to_float
from sg2bench.layout import CONFIG
from sg2bench.models import checkpoints
from sg2bench.models.networks import Networks
from sg2bench.samples.pictures import Picture

_MEAN_OF = 10_000


@dataclass(frozen=True)
class Style:
    """The generator's style input (style_dim,) for a domain, and the reference it was taken from, if any."""

    domain: str
    name: str
    code: Tensor
    reference: Tensor | None = None


def model_and_domains(
    checkpoint: Path,
    of_run: Experiment | None,
    experiment: Path | None,
    variant: str | None,
    domains: Sequence[str] | None,
    by_reference: bool,
) -> tuple[Model, tuple[str, ...]]:
    """Return model and domains of a checkpoint: from an experiment, from its run's configuration `of_run`, or from the
    file's shapes. `domains` renames them. Raises ValueError if names are needed but unknown, or in another order.
    """
    if experiment is None and variant is not None:
        raise ValueError("--variant needs --experiment")
    loaded = of_run if experiment is None else experiments.load(experiment)
    if loaded is None:
        if by_reference and domains is None:
            raise ValueError("--references needs the names of the domains in the order of training: --domains cat,dog")
        model, number = checkpoints.infer(checkpoint)
        return model, name_domains(number, domains)
    resolved = loaded.resolve(variant or next(iter(loaded.variants)))
    # A run's configuration names its domains; for an experiment, the images may be needed to know them.
    known = sorted(set(resolved.data.domains or sets.load(resolved.data, resolved.model.image_size).domains))
    if of_run is not None and known != sorted(of_run.data.domains or known):
        raise ValueError(
            f"--experiment: its domains are {', '.join(known)}, but by its run's {CONFIG} the model's are "
            f"{', '.join(of_run.data.domains or ())}; leave it out"
        )
    names = name_domains(len(known), known if domains is None else domains)
    if any(name in known and name != known[label] for label, name in enumerate(names)):
        raise ValueError(f"--domains {','.join(names)}: the model's domains are {','.join(known)}, in this order")
    return resolved.model, names


def name_domains(number: int, named: Sequence[str] | None) -> tuple[str, ...]:
    """Return the names of a model's domains in the order of its labels: as given, or `domain-0` and so on.

    Raises ValueError if not exactly `number` names are given, or if one cannot name a folder.
    """
    if named is None:
        return tuple(f"domain-{label}" for label in range(number))
    names = tuple(named)
    if len(names) != number or len(set(names)) != number:
        raise ValueError(
            f"--domains {','.join(named)}: name each of the model's {number} domains once, in the order of training"
        )
    if odd := [name for name in names if "\\" in name or not texts.is_domain(name)]:
        raise ValueError(
            f"--domains {','.join(named)}: `{odd[0]}` cannot name a folder; a domain's name is {texts.DOMAIN_MEANING}"
        )
    return names


@torch.inference_mode()
def latent_styles(nets: Networks, domains: Sequence[str], seeds: int, psi: float) -> list[Style]:
    """Return the styles of latents 0 … seeds - 1, the same for every domain, truncated toward the domain's mean style.

    Truncation is `mean + psi * (style - mean)`, with the mean over 10,000 latents: `psi` 1 keeps the styles, 0 gives
    the mean. Raises ValueError if psi is not 1 for a model without a mapping network.
    """
    if psi != 1 and nets.condition.code != "style":
        raise ValueError("--psi truncates style codes, which this model does not have; leave it out")
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
    """Return the styles of reference images, each for the domain that its folder names.

    Raises ValueError for an unknown domain, or if the model takes no references.
    """
    if not nets.condition.takes_references:
        raise ValueError("this model takes no references, only a domain; use --latent-seeds 1")
    device = next(nets.parameters()).device
    styles = []
    for picture in references:
        if picture.group not in domains:
            raise ValueError(
                f"{where}: expected references in folders named by domain ({', '.join(domains)}), found "
                f"`{picture.group}`; rename it, or name the domains in the order of training with --domains"
            )
        label = torch.tensor([domains.index(picture.group)], device=device)
        code = nets.reference_style(to_float(picture.pixels[None].to(device)), label)[0]
        styles.append(Style(picture.group, picture.stem, code, picture.pixels))
    return styles


def _latents(seed: int, number: int, latent_dim: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((number, latent_dim), dtype=np.float32))
