"""What is trained, and one iteration of training it (paper, appendix: training details)."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from sg2bench.config import Experiment, Loss
from sg2bench.data.batches import Batch
from sg2bench.models.blocks import Encoded
from sg2bench.models.networks import Discriminator, Networks, StyleEncoder, build_discriminator
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
        self.sparse_heads, self.precision, self.compiled = train.sparse_heads, train.precision, train.compile
        self.encoder_learns = train.encoder_learns
        if train.compile:
            _compile(self.nets, self.discriminator)
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


def _compile(nets: Networks, discriminator: Discriminator) -> None:
    """All convolutions; what depends on the labels' values stays as it is."""
    for name in ("encode", "decode"):
        setattr(nets, name, torch.compile(getattr(nets, name), dynamic=False))
    discriminator.main.compile(dynamic=False)
    if isinstance(style_encoder := nets.trained().get("style_encoder"), StyleEncoder):
        style_encoder.shared.compile(dynamic=False)


def train_step(state: State, batch: Batch, loss: Loss, ds_weight: float) -> dict[str, Tensor]:
    """One iteration: D on latent and on reference guidance; G, F and E on latent; G alone on reference; EMA.

    With `train.encoder_learns: both`, E learns on reference guidance, too. `ds_weight` is the diversity weight of this
    step. A term whose weight is 0 is not computed; without an adversarial term the discriminator is not trained; where
    the generator is not given a style code, there is no reference guidance. Returns each computed term, unweighted and
    detached, by names such as `g_latent/cyc`.
    """
    nets = state.nets
    terms: dict[str, Tensor] = {}
    # Without its cache, which would go on with the weights of before an optimiser's step.
    with torch.autocast(batch.source.device.type, torch.bfloat16, state.precision == "bf16", cache_enabled=False):
        _steps(state, batch, loss, ds_weight, terms)

    with torch.no_grad():
        for name, network in nets.trained().items():
            both = zip(state.ema.get_submodule(name).parameters(), network.parameters(), strict=True)
            changed = [pair for pair in both if pair[1].grad is not None or not state.sparse_heads]
            state.ema_update([average for average, _ in changed], [current for _, current in changed], 0)
    return terms


def _steps(state: State, batch: Batch, loss: Loss, ds_weight: float, terms: dict[str, Tensor]) -> None:
    nets = state.nets
    by_reference = nets.condition.code == "style"
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
        translated = _Translated(encoded, style, fake, style2)
        _generator_step(state, batch, loss, ds_weight, translated, terms, "g_latent", *nets.trained())

    if by_reference:
        both = state.encoder_learns == "both"
        with _frozen(state.discriminator), nullcontext() if both else _frozen(nets.style_encoder):
            with torch.set_grad_enabled(both):
                style = nets.reference_style(batch.reference, batch.target_domain)
            with torch.no_grad():
                style2 = nets.reference_style(batch.reference2, batch.target_domain) if ds_weight else None
            encoded = nets.encode(batch.source)
            translated = _Translated(encoded, style, nets.decode(encoded, style), style2)
            names = ("generator", "style_encoder") if both else ("generator",)
            _generator_step(state, batch, loss, ds_weight, translated, terms, "g_reference", *names)


class _Translated(NamedTuple):
    """Sources in a style, and the style of a second fake of each, for the diversity term."""

    encoded: Encoded
    style: Tensor
    fake: Tensor
    style2: Tensor | None


_Terms = Iterator[dict[str, tuple[float, Tensor]]]
"""Weight and value of loss terms by name, those together that share a graph, each computed when it is asked for."""


def _discriminator_step(
    state: State, batch: Batch, fake: Tensor, loss: Loss, terms: dict[str, Tensor], phase: str
) -> None:
    _zero_grad(state, "discriminator")
    _backward(_discriminator_terms(state, batch, fake, loss), terms, phase)
    _optimize(state, "discriminator")


def _discriminator_terms(state: State, batch: Batch, fake: Tensor, loss: Loss) -> _Terms:
    """Equation 1 from the discriminator's side, with R1 on real images; for the ladder, WGAN-GP and classification."""
    discriminator = state.discriminator
    real_images = batch.source.detach().requires_grad_(loss.r1 > 0)
    with _eager_float32(state, batch) if loss.r1 else nullcontext():
        verdict = discriminator.judge(real_images, batch.source_domain)
        on_real = {"real": (1.0, losses.adversarial(verdict.real, True, loss.objective))}
        if loss.r1:
            on_real["r1"] = loss.r1, losses.r1(verdict.real, real_images)
    if verdict.classes is not None:
        on_real["cls"] = loss.cls, F.cross_entropy(verdict.classes, batch.source_domain)
    yield on_real
    yield {"fake": (1.0, losses.adversarial(discriminator(fake, batch.target_domain), False, loss.objective))}
    if loss.gp:
        between = torch.lerp(losses.float32(fake), batch.source, batch.mix[:, None, None, None]).requires_grad_()
        with _eager_float32(state, batch):
            penalty = losses.gradient_penalty(discriminator(between, batch.target_domain), between)
        yield {"gp": (loss.gp, penalty)}


def _generator_step(
    state: State,
    batch: Batch,
    loss: Loss,
    ds_weight: float,
    translated: _Translated,
    terms: dict[str, Tensor],
    phase: str,
    *names: str,
) -> None:
    """Every term's gradient goes back to the fake and its style, and from there all together into the networks: so
    each term's graph can be freed before the next one is computed.
    """
    _zero_grad(state, *names)
    fake, style = (tensor.detach().requires_grad_() for tensor in (translated.fake, translated.style))
    _backward(
        _generator_terms(state, batch, loss, ds_weight, translated._replace(fake=fake, style=style)), terms, phase
    )
    ends = [translated.fake, translated.style] if translated.style.requires_grad else [translated.fake]
    gradients = [fake.grad, style.grad if style.grad is not None else torch.zeros_like(style)][: len(ends)]
    with torch.autocast(fake.device.type, enabled=False):
        torch.autograd.backward(ends, gradients)
    _optimize(state, *names)


def _generator_terms(state: State, batch: Batch, loss: Loss, ds_weight: float, translated: _Translated) -> _Terms:
    """Equation 6."""
    nets = state.nets
    encoded, style, fake, style2 = translated
    if loss.adv:
        verdict = state.discriminator.judge(fake, batch.target_domain)
        judged = {"adv": (loss.adv, losses.adversarial(verdict.real, True, loss.objective))}
        if verdict.classes is not None:
            judged["cls"] = loss.cls, F.cross_entropy(verdict.classes, batch.target_domain)
        yield judged
    if loss.sty:
        recovered = nets.style_encoder(fake, batch.target_domain)
        yield {"sty": (loss.sty, losses.l1(recovered, style[:, : recovered.shape[1]]))}  # a label may follow a latent
    if style2 is not None:
        with torch.no_grad():
            fake2 = nets.decode(encoded.detach(), style2)
        yield {"ds": (-ds_weight, losses.l1(fake, fake2))}
    if loss.cyc:
        source_style = nets.reference_style(batch.source, batch.source_domain)
        yield {"cyc": (loss.cyc, losses.l1(nets.decode(nets.encode(fake), source_style), batch.source))}


def _backward(groups: _Terms, terms: dict[str, Tensor], phase: str) -> None:
    """Add the gradients of the weighted terms, which are noted as they are."""
    for weighted in groups:
        terms |= {f"{phase}/{name}": term.detach() for name, (_, term) in weighted.items()}
        total: Tensor = torch.stack([weight * term for weight, term in weighted.values()]).sum()
        with torch.autocast(total.device.type, enabled=False):
            total.backward()  # type: ignore[no-untyped-call]


def _zero_grad(state: State, *names: str) -> None:
    for name in names:
        state.optimizers[name].zero_grad(set_to_none=True)


def _optimize(state: State, *names: str) -> None:
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
def _eager_float32(state: State, batch: Batch) -> Iterator[None]:
    """Run in float32 and eager mode, as double backward requires."""
    eager = torch.compiler.set_stance("force_eager") if state.compiled else nullcontext()
    with torch.autocast(batch.source.device.type, enabled=False), eager:
        yield


@contextmanager
def _frozen(network: nn.Module) -> Iterator[None]:
    """No gradients for a network's parameters; they still flow through it."""
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)
