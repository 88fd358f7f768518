"""One training step (paper, appendix: training details)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sg2bench import distributed
from sg2bench.config import Loss
from sg2bench.data.batches import Batch
from sg2bench.models.blocks import Encoded
from sg2bench.models.networks import Networks
from sg2bench.training import losses
from sg2bench.training.compiled import Compiled
from sg2bench.training.state import State


def train_step(state: State, batch: Batch, loss: Loss, ds_weight: float) -> dict[str, Tensor]:
    """Train one step: D on latent and on reference guidance; G, F and E on latent; G alone on reference; moving
    average.

    With `train.encoder_learns: both`, E learns on reference guidance, too. `ds_weight` is the diversity weight of this
    step. A term with weight 0 is not computed; without an adversarial term the discriminator is not trained; if the
    generator is not given a style code, there is no reference guidance. Returns each computed term, unweighted and
    detached, by names such as `g_latent/cyc`.

    Each of several processes gets its share of the batch. All terms are means over images, so means of the gradients
    are those of the whole batch. The returned terms are those of the share.
    """
    if state.compiled is not None:
        terms = _compiled_steps(state, state.compiled, batch, loss, ds_weight)
    else:
        with _autocast(state, batch):
            terms = _steps(state, batch, loss, ds_weight)
    state.average()
    return terms


def _autocast(state: State, batch: Batch) -> torch.autocast:
    """Return autocast without its cache, which would keep weights from before an optimiser step."""
    return torch.autocast(batch.source.device.type, torch.bfloat16, state.precision == "bf16", cache_enabled=False)


def _steps(state: State, batch: Batch, loss: Loss, ds_weight: float) -> dict[str, Tensor]:
    nets, terms = state.nets, dict[str, Tensor]()
    by_latent = _by_latent(nets, batch, bool(ds_weight))
    if loss.adv:
        for phase, fake in _fakes(nets, batch, by_latent).items():
            _zero_grad(state, "discriminator")
            terms |= _of_phase(phase, _discriminator_gradients(state, batch, fake, loss))
            _optimize(state, "discriminator")
    for phase, names in _generator_phases(state).items():
        _zero_grad(state, *names)
        with _frozen_but(state, names):
            translated = by_latent if phase == "g_latent" else _by_reference(nets, batch, bool(ds_weight))
            terms |= _of_phase(phase, _generator_gradients(state, batch, loss, ds_weight, translated))
        _optimize(state, *names)
    return terms


def _compiled_steps(state: State, compiled: Compiled, batch: Batch, loss: Loss, ds_weight: float) -> dict[str, Tensor]:
    """Do the same as `_steps` in three functions, of which the one by latent also makes the discriminator's fakes."""
    nets, terms, ds = state.nets, dict[str, Tensor](), bool(ds_weight)
    weight = torch.full((), ds_weight, dtype=batch.source.dtype, device=batch.source.device)

    def of_discriminator(fake: Tensor, *tensors: Tensor) -> dict[str, Tensor]:
        with _autocast(state, batch):
            return _discriminator_gradients(state, Batch(*tensors), fake, loss)

    def of_generator(
        translate: _Translate, names: Sequence[str], weight: Tensor, *tensors: Tensor
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        by_latent, batch = translate is _by_latent, Batch(*tensors)
        with _autocast(state, batch), _frozen_but(state, names):
            translated = translate(nets, batch, ds)
            fakes = _fakes(nets, batch, translated) if by_latent and loss.adv else {}
            return fakes, _generator_gradients(state, batch, loss, weight, translated)

    for phase, names in _generator_phases(state).items():
        weights = [weight for name in names for weight in nets.get_submodule(name).parameters()]
        function = functools.partial(of_generator, _by_latent if phase == "g_latent" else _by_reference, names)
        name = phase if ds else f"{phase} without ds"
        fakes, finish = compiled.begin(name, function, weights, weight, *batch)
        for d_phase, fake in fakes.items():
            d_weights = list(state.discriminator.parameters())
            terms |= _of_phase(d_phase, compiled("discriminator", of_discriminator, d_weights, fake, *batch))
            _optimize(state, "discriminator")
        terms |= _of_phase(phase, finish())
        _optimize(state, *names)
    return terms


def _of_phase(phase: str, terms: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{phase}/{name}": term for name, term in terms.items()}


def _generator_phases(state: State) -> dict[str, tuple[str, ...]]:
    """Return the networks that learn in each of the generator's phases."""
    phases = {"g_latent": tuple(state.nets.trained())}
    if _has_reference_guidance(state.nets):
        both = state.encoder_learns == "both"
        phases["g_reference"] = ("generator", "style_encoder") if both else ("generator",)
    return phases


def _has_reference_guidance(nets: Networks) -> bool:
    return nets.condition.code == "style"


class _Translated(NamedTuple):
    """Sources translated into a style, and the style of a second fake of each, for the diversity term."""

    encoded: Encoded
    style: Tensor
    fake: Tensor
    style2: Tensor | None


_Translate = Callable[[Networks, Batch, bool], _Translated]


def _by_latent(nets: Networks, batch: Batch, second: bool) -> _Translated:
    """Translate sources in the style of the first latents; also return the style of the second ones if `second`."""
    return _translate(nets, batch, nets.latent_style, batch.latent, batch.latent2 if second else None)


def _by_reference(nets: Networks, batch: Batch, second: bool) -> _Translated:
    return _translate(nets, batch, nets.reference_style, batch.reference, batch.reference2 if second else None)


def _translate(
    nets: Networks, batch: Batch, style_of: Callable[[Tensor, Tensor], Tensor], first: Tensor, second: Tensor | None
) -> _Translated:
    encoded, style = nets.encode(batch.source), style_of(first, batch.target_domain)
    with torch.no_grad():
        style2 = None if second is None else style_of(second, batch.target_domain)
    return _Translated(encoded, style, nets.decode(encoded, style), style2)


@torch.no_grad()
def _fakes(nets: Networks, batch: Batch, by_latent: _Translated) -> dict[str, Tensor]:
    """Return the fakes on which the discriminator learns, by phase."""
    fakes = {"d_latent": by_latent.fake.detach()}
    if _has_reference_guidance(nets):
        style = nets.reference_style(batch.reference, batch.target_domain)
        fakes["d_reference"] = nets.decode(by_latent.encoded, style)
    return fakes


_Terms = Iterator[Mapping[str, tuple[float | Tensor, Tensor]]]
"""Weight and value of loss terms by name. Terms that share a graph come together, and are computed on demand."""


def _discriminator_gradients(state: State, batch: Batch, fake: Tensor, loss: Loss) -> dict[str, Tensor]:
    """Add the gradients of the discriminator; return the terms."""
    return _backward(_discriminator_terms(state, batch, fake, loss))


def _discriminator_terms(state: State, batch: Batch, fake: Tensor, loss: Loss) -> _Terms:
    """Yield equation 1 for the discriminator, with R1 on real images; for the ladder, WGAN-GP and classification."""
    discriminator = state.discriminator
    real_images = batch.source.detach().requires_grad_(loss.r1 > 0)
    with _float32(batch) if loss.r1 else nullcontext():
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
        with _float32(batch):
            penalty = losses.gradient_penalty(discriminator(between, batch.target_domain), between)
        yield {"gp": (loss.gp, penalty)}


def _generator_gradients(
    state: State, batch: Batch, loss: Loss, ds_weight: float | Tensor, translated: _Translated
) -> dict[str, Tensor]:
    """Add the gradients of the networks that made the fakes; return the terms.

    Each term's gradient first goes to the fake and its style. From there, all of them go into the networks together, so
    each term's graph can be freed before the next one is computed.
    """
    fake, style = (tensor.detach().requires_grad_() for tensor in (translated.fake, translated.style))
    terms = _backward(_generator_terms(state, batch, loss, ds_weight, translated._replace(fake=fake, style=style)))
    ends = [translated.fake, translated.style] if translated.style.requires_grad else [translated.fake]
    gradients = [fake.grad, style.grad if style.grad is not None else torch.zeros_like(style)][: len(ends)]
    with torch.autocast(fake.device.type, enabled=False):
        torch.autograd.backward(ends, gradients)
    return terms


def _generator_terms(
    state: State, batch: Batch, loss: Loss, ds_weight: float | Tensor, translated: _Translated
) -> _Terms:
    """Yield the terms of equation 6."""
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


def _backward(groups: _Terms) -> dict[str, Tensor]:
    """Add the gradients of the weighted terms; return the unweighted terms."""
    terms: dict[str, Tensor] = {}
    for weighted in groups:
        terms |= {name: term.detach() for name, (_, term) in weighted.items()}
        total: Tensor = torch.stack([weight * term for weight, term in weighted.values()]).sum()
        with torch.autocast(total.device.type, enabled=False):
            total.backward()  # type: ignore[no-untyped-call]
    return terms


def _zero_grad(state: State, *names: str) -> None:
    for name in names:
        state.optimizers[name].zero_grad(set_to_none=True)


def _optimize(state: State, *names: str) -> None:
    groups = (group for name in names for group in state.optimizers[name].param_groups)
    distributed.average_gradients([weight for group in groups for weight in group["params"]])
    state.catch_up(names, changing=True)
    for name in names:
        if name in ("mapping_network", "style_encoder") and not state.sparse_heads:
            _zeros_for_absent_heads(state.nets.get_submodule(name))
        state.optimizers[name].step()


def _zeros_for_absent_heads(network: nn.Module) -> None:
    """Set a zero gradient for heads whose domain is not in the batch, so that they move and decay as if all heads were
    computed. The heads share one tensor of zeros, to which no optimiser writes.
    """
    heads = list(network.get_submodule("unshared").parameters())
    if any(weight.grad is not None for weight in heads):
        zeros: dict[torch.Size, Tensor] = {}
        for weight in heads:
            if weight.grad is None:
                if weight.shape not in zeros:
                    zeros[weight.shape] = torch.zeros_like(weight)
                weight.grad = zeros[weight.shape]


def _float32(batch: Batch) -> torch.autocast:
    """Disable autocast: gradients of gradients need float32."""
    return torch.autocast(batch.source.device.type, enabled=False)


@contextmanager
def _frozen_but(state: State, names: Sequence[str]) -> Iterator[None]:
    """Freeze the parameters of all other networks; gradients still flow through them."""
    networks = state.nets.trained() | {"discriminator": state.discriminator}
    frozen = [network for name, network in networks.items() if name not in names]
    for network in frozen:
        network.requires_grad_(False)
    try:
        yield
    finally:
        for network in frozen:
            network.requires_grad_(True)
