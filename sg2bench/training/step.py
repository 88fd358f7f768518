"""What is trained, and one iteration of training it (paper, appendix: training details)."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from sg2bench.config import Experiment, Loss
from sg2bench.data.batches import Batch
from sg2bench.models.blocks import Encoded
from sg2bench.models.networks import Networks, build_discriminator
from sg2bench.training import losses


class State:
    """Networks, their moving average, the discriminator and an optimiser for each network that is trained."""

    def __init__(self, experiment: Experiment, num_domains: int, device: torch.device | str = "cpu") -> None:
        train = experiment.train
        self.nets = Networks(experiment.model, num_domains).to(device)
        self.discriminator = build_discriminator(experiment.model, num_domains).to(device)
        self.ema = copy.deepcopy(self.nets).requires_grad_(False)
        if "fan" in self.nets._modules:
            self.ema.fan = self.nets.fan  # given, not trained: one will do
        self.sparse_heads = train.sparse_heads
        self.ema_update = get_ema_multi_avg_fn(train.ema_decay)  # type: ignore[no-untyped-call]
        self.optimizers = {
            name: torch.optim.Adam(
                network.parameters(),
                train.mapping_learning_rate if name == "mapping_network" else train.learning_rate,
                (train.beta1, train.beta2),
                weight_decay=train.weight_decay,
                fused=True,
            )
            for name, network in (self.nets.trained() | {"discriminator": self.discriminator}).items()
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
    term the discriminator is not trained; where the generator is not given a style code, there is no reference
    guidance. Returns each computed term, unweighted and detached, by names such as `g_latent/cyc`.
    """
    nets = state.nets
    by_reference = nets.condition == "style"
    terms: dict[str, Tensor] = {}

    encoded = nets.encode(batch.source)
    style = nets.latent_style(batch.latent, batch.target_domain)
    fake = nets.decode(encoded, style)
    if loss.adv:
        _discriminator_step(state, batch, fake.detach(), loss, terms, "d_latent")
        if by_reference:
            with torch.no_grad():
                reference_style = nets.reference_style(batch.reference, batch.target_domain)
                reference_fake = nets.decode(encoded.detach(), reference_style)
            _discriminator_step(state, batch, reference_fake, loss, terms, "d_reference")

    with _frozen(state.discriminator):
        with torch.no_grad():
            style2 = nets.latent_style(batch.latent2, batch.target_domain) if ds_weight else None
        source_style = nets.reference_style(batch.source, batch.source_domain) if loss.cyc else None
        total = _generator_loss(
            state, batch, loss, ds_weight, (encoded, fake), (style, style2, source_style), terms, "g_latent"
        )
        _step(state, total, *nets.trained())

    if by_reference:
        with _frozen(state.discriminator), _frozen(nets.style_encoder):
            with torch.no_grad():
                style = nets.reference_style(batch.reference, batch.target_domain)
                style2 = nets.reference_style(batch.reference2, batch.target_domain) if ds_weight else None
                source_style = nets.reference_style(batch.source, batch.source_domain) if loss.cyc else None
            encoded = nets.encode(batch.source)
            fake = nets.decode(encoded, style)
            total = _generator_loss(
                state, batch, loss, ds_weight, (encoded, fake), (style, style2, source_style), terms, "g_reference"
            )
            _step(state, total, "generator")

    with torch.no_grad():
        for name, network in nets.trained().items():
            both = zip(state.ema.get_submodule(name).parameters(), network.parameters(), strict=True)
            changed = [pair for pair in both if pair[1].grad is not None or not state.sparse_heads]
            state.ema_update([average for average, _ in changed], [current for _, current in changed], 0)
    return terms


def _discriminator_step(
    state: State, batch: Batch, fake: Tensor, loss: Loss, terms: dict[str, Tensor], phase: str
) -> None:
    """Equation 1 from the discriminator's side, with R1 on real images; for the ladder, WGAN-GP and classification."""
    discriminator = state.discriminator
    real_images = batch.source.detach().requires_grad_(loss.r1 > 0)
    verdict = discriminator.judge(real_images, batch.source_domain)
    weighted = {
        "real": (1.0, losses.adversarial(verdict.real, True, loss.objective)),
        "fake": (1.0, losses.adversarial(discriminator(fake, batch.target_domain), False, loss.objective)),
    }
    if loss.r1:
        weighted["r1"] = loss.r1, losses.r1(verdict.real, real_images)
    if loss.gp:
        between = torch.lerp(fake, batch.source, batch.mix[:, None, None, None]).requires_grad_()
        weighted["gp"] = loss.gp, losses.gradient_penalty(discriminator(between, batch.target_domain), between)
    if verdict.classes is not None:
        weighted["cls"] = loss.cls, F.cross_entropy(verdict.classes, batch.source_domain)
    _step(state, _weigh(weighted, terms, phase), "discriminator")


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
    nets = state.nets
    encoded, fake = translated
    style, style2, source_style = styles
    weighted: dict[str, tuple[float, Tensor]] = {}
    if loss.adv:
        verdict = state.discriminator.judge(fake, batch.target_domain)
        weighted["adv"] = loss.adv, losses.adversarial(verdict.real, True, loss.objective)
        if verdict.classes is not None:
            weighted["cls"] = loss.cls, F.cross_entropy(verdict.classes, batch.target_domain)
    if loss.sty:
        recovered = nets.style_encoder(fake, batch.target_domain)
        weighted["sty"] = loss.sty, losses.l1(recovered, style[:, : recovered.shape[1]])  # a label may follow a latent
    if style2 is not None:
        with torch.no_grad():
            fake2 = nets.decode(encoded.detach(), style2)
        weighted["ds"] = -ds_weight, losses.l1(fake, fake2)
    if source_style is not None:
        weighted["cyc"] = loss.cyc, losses.l1(nets.decode(nets.encode(fake), source_style), batch.source)
    return _weigh(weighted, terms, phase)


def _weigh(weighted: dict[str, tuple[float, Tensor]], terms: dict[str, Tensor], phase: str) -> Tensor:
    """The weighted sum of terms, which are noted as they are."""
    terms |= {f"{phase}/{name}": term.detach() for name, (_, term) in weighted.items()}
    return torch.stack([weight * term for weight, term in weighted.values()]).sum()


def _step(state: State, total: Tensor, *names: str) -> None:
    for name in names:
        state.optimizers[name].zero_grad(set_to_none=True)
    total.backward()  # type: ignore[no-untyped-call]
    for name in names:
        if name in ("mapping_network", "style_encoder") and not state.sparse_heads:
            _zeros_for_absent_heads(state.nets.get_submodule(name))
        state.optimizers[name].step()


def _zeros_for_absent_heads(network: nn.Module) -> None:
    """A gradient of zero for the heads of domains that no sample has, where others have one: so they move and decay as
    they do if all heads are computed. Heads share the tensor, which no optimiser writes to.
    """
    heads = list(network.get_submodule("unshared").parameters())
    if any(weight.grad is not None for weight in heads):
        zeros: dict[torch.Size, Tensor] = {}
        for weight in heads:
            if weight.grad is None:
                if weight.shape not in zeros:
                    zeros[weight.shape] = torch.zeros_like(weight)
                weight.grad = zeros[weight.shape]


@contextmanager
def _frozen(network: nn.Module) -> Iterator[None]:
    """No gradients for a network's parameters; they still flow through it."""
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)
