"""What is trained, and one iteration of training it (paper, appendix: training details)."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from sg2bench.config import Experiment, Loss
from sg2bench.data.batches import Batch
from sg2bench.models.networks import Encoded, Networks, build_discriminator
from sg2bench.training import losses

NETWORKS = ("generator", "mapping_network", "style_encoder")


class State:
    """Networks, their moving average, the discriminator and the four optimisers of a run."""

    def __init__(self, experiment: Experiment, num_domains: int, device: torch.device | str = "cpu") -> None:
        train = experiment.train
        self.nets = Networks(experiment.model, num_domains).to(device)
        self.discriminator = build_discriminator(experiment.model, num_domains).to(device)
        self.ema = copy.deepcopy(self.nets).requires_grad_(False)
        self.ema_update = get_ema_multi_avg_fn(train.ema_decay)  # type: ignore[no-untyped-call]

        def adam(network: nn.Module, learning_rate: float) -> torch.optim.Adam:
            betas = (train.beta1, train.beta2)
            return torch.optim.Adam(
                network.parameters(), learning_rate, betas, weight_decay=train.weight_decay, fused=True
            )

        self.optimizers = {
            "generator": adam(self.nets.generator, train.learning_rate),
            "mapping_network": adam(self.nets.mapping_network, train.mapping_learning_rate),
            "style_encoder": adam(self.nets.style_encoder, train.learning_rate),
            "discriminator": adam(self.discriminator, train.learning_rate),
        }

    def state_dict(self) -> dict[str, Any]:
        return {
            "nets": self.nets.state_dict(),
            "ema": self.ema.state_dict(),
            "discriminator": self.discriminator.state_dict(),
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.nets.load_state_dict(state["nets"])
        self.ema.load_state_dict(state["ema"])
        self.discriminator.load_state_dict(state["discriminator"])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])


def train_step(state: State, batch: Batch, loss: Loss, ds_weight: float) -> dict[str, Tensor]:
    """One iteration: D on latent and on reference guidance; G, F and E on latent; G alone on reference; EMA.

    `ds_weight` is the diversity weight of this step. A term whose weight is 0 is not computed; without an adversarial
    term the discriminator is not trained. Returns each computed term, unweighted and detached, by names such as
    `g_latent/cyc`.
    """
    generator, mapping, encoder = (getattr(state.nets, name) for name in NETWORKS)
    terms: dict[str, Tensor] = {}

    encoded = generator.encode(batch.source)
    style = mapping(batch.latent, batch.target_domain)
    fake = generator.decode(encoded, style)
    if loss.adv:
        with torch.no_grad():
            reference_style = encoder(batch.reference, batch.target_domain)
            reference_fake = generator.decode(encoded.detach(), reference_style)
        _discriminator_step(state, batch, fake.detach(), loss, terms, "d_latent")
        _discriminator_step(state, batch, reference_fake, loss, terms, "d_reference")

    with _frozen(state.discriminator):
        with torch.no_grad():
            style2 = mapping(batch.latent2, batch.target_domain) if ds_weight else None
        source_style = encoder(batch.source, batch.source_domain) if loss.cyc else None
        total = _generator_loss(
            state, batch, loss, ds_weight, (encoded, fake), (style, style2, source_style), terms, "g_latent"
        )
        _step(state, total, *NETWORKS)

    with _frozen(state.discriminator), _frozen(encoder):
        with torch.no_grad():
            style = encoder(batch.reference, batch.target_domain)
            style2 = encoder(batch.reference2, batch.target_domain) if ds_weight else None
            source_style = encoder(batch.source, batch.source_domain) if loss.cyc else None
        encoded = generator.encode(batch.source)
        fake = generator.decode(encoded, style)
        total = _generator_loss(
            state, batch, loss, ds_weight, (encoded, fake), (style, style2, source_style), terms, "g_reference"
        )
        _step(state, total, "generator")

    with torch.no_grad():
        state.ema_update(list(state.ema.parameters()), list(state.nets.parameters()), 0)
    return terms


def _discriminator_step(
    state: State, batch: Batch, fake: Tensor, loss: Loss, terms: dict[str, Tensor], phase: str
) -> None:
    """Equation 1 from the discriminator's side, with R1 on real images."""
    real_images = batch.source.detach().requires_grad_(loss.r1 > 0)
    logits = state.discriminator(real_images, batch.source_domain)
    real = losses.adversarial(logits, real=True)
    fooled = losses.adversarial(state.discriminator(fake, batch.target_domain), real=False)
    terms |= {f"{phase}/real": real.detach(), f"{phase}/fake": fooled.detach()}
    total = real + fooled
    if loss.r1:
        penalty = losses.r1(logits, real_images)
        terms[f"{phase}/r1"] = penalty.detach()
        total = total + loss.r1 * penalty
    _step(state, total, "discriminator")


def _generator_loss(
    state: State,
    batch: Batch,
    loss: Loss,
    ds_weight: float,
    translated: tuple[Encoded, Tensor],
    styles: tuple[Tensor, Tensor | None, Tensor | None],
    terms: dict[str, Tensor],
    phase: str,
) -> Tensor:
    """Equation 6: `translated` is (encoded source, fake), `styles` are the fake's, the second fake's, the source's."""
    generator, encoder = state.nets.generator, state.nets.style_encoder
    encoded, fake = translated
    style, style2, source_style = styles
    weighted: dict[str, tuple[float, Tensor]] = {}
    if loss.adv:
        logits = state.discriminator(fake, batch.target_domain)
        weighted["adv"] = loss.adv, losses.adversarial(logits, real=True)
    if loss.sty:
        weighted["sty"] = loss.sty, losses.l1(encoder(fake, batch.target_domain), style)
    if style2 is not None:
        with torch.no_grad():
            fake2 = generator.decode(encoded.detach(), style2)
        weighted["ds"] = -ds_weight, losses.l1(fake, fake2)
    if source_style is not None:
        weighted["cyc"] = loss.cyc, losses.l1(generator(fake, source_style), batch.source)
    terms |= {f"{phase}/{name}": term.detach() for name, (_, term) in weighted.items()}
    return torch.stack([weight * term for weight, term in weighted.values()]).sum()


def _step(state: State, total: Tensor, *names: str) -> None:
    for name in names:
        state.optimizers[name].zero_grad(set_to_none=True)
    total.backward()  # type: ignore[no-untyped-call]
    for name in names:
        state.optimizers[name].step()


@contextmanager
def _frozen(network: nn.Module) -> Iterator[None]:
    """No gradients for a network's parameters; they still flow through it."""
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)
