from __future__ import annotations

import copy
import re

import pytest
import torch

from sg2bench import experiments
from sg2bench.config import Experiment
from sg2bench.data.batches import Batch
from sg2bench.models.networks import Generator, StyleEncoder
from sg2bench.training import losses, step
from sg2bench.training.state import State
from sg2bench.training.step import train_step
from tools import naive


def small_experiment(**loss):
    return Experiment(
        name="small",
        model={
            "image_size": 32,
            "first_width": 4,
            "max_width": 8,
            "style_dim": 5,
            "latent_dim": 3,
            "mapping_width": 8,
        },
        loss=loss,
        train={"batch_size": 2},
    )


def small_batch():
    torch.manual_seed(1)
    images = [torch.rand(2, 3, 32, 32) * 2 - 1 for _ in range(3)]
    latents = [torch.randn(2, 3) for _ in range(2)]
    labels = [torch.tensor([0, 1]), torch.tensor([1, 1])]
    return Batch(images[0], labels[0], images[1], images[2], labels[1], *latents, torch.tensor([0.3, 0.8]))


def count_calls(monkeypatch):
    """Counts, from now on, of the loss functions and of the passes that a step makes."""
    calls = dict.fromkeys(("adversarial", "r1", "l1", "encoder", "render"), 0)

    def counted(name, function):
        def wrapper(*arguments, **options):
            calls[name] += 1
            return function(*arguments, **options)

        return wrapper

    for name in ("adversarial", "r1", "l1"):
        monkeypatch.setattr(losses, name, counted(name, getattr(losses, name)))
    monkeypatch.setattr(StyleEncoder, "forward", counted("encoder", StyleEncoder.forward))
    monkeypatch.setattr(Generator, "render", counted("render", Generator.render))
    return calls


@pytest.mark.parametrize("term", ["adv", "sty", "ds", "cyc", "r1"])
def test_a_term_of_weight_zero_is_not_computed(term, monkeypatch):
    torch.manual_seed(0)
    experiment = small_experiment(**{term: 0})
    state = State(experiment, 2)
    before = copy.deepcopy(state.discriminator.state_dict())
    calls = count_calls(monkeypatch)
    terms = train_step(state, small_batch(), experiment.loss, experiment.loss.ds)
    assert not [name for name in terms if name.endswith(f"/{term}")]
    trained = any((v != before[k]).any() for k, v in state.discriminator.state_dict().items())
    assert trained == (term != "adv")
    full = {"adversarial": 6, "r1": 2, "l1": 6, "encoder": 7, "render": 7}
    less = {
        "adv": {"adversarial": 6, "r1": 2, "encoder": 1, "render": 1},
        "sty": {"l1": 2, "encoder": 2},
        "ds": {"l1": 2, "encoder": 1, "render": 2},
        "cyc": {"l1": 2, "encoder": 2, "render": 2},
        "r1": {"r1": 2},
    }[term]
    assert calls == {name: full[name] - less.get(name, 0) for name in full}


def test_average_starts_as_a_copy_and_follows_slowly():
    torch.manual_seed(0)
    experiment = small_experiment()
    state = State(experiment, 2)
    start = copy.deepcopy(state.nets.state_dict())
    assert all((start[key] == value).all() for key, value in state.ema.state_dict().items())
    train_step(state, small_batch(), experiment.loss, 1.0)
    for key, value in state.ema.state_dict().items():
        expected = 0.999 * start[key] + 0.001 * state.nets.state_dict()[key]
        torch.testing.assert_close(value, expected)


def test_reference_guidance_leaves_the_style_encoder_alone():
    """Without sty and cyc the style encoder has no gradient on latent guidance, so it must not move at all."""
    torch.manual_seed(0)
    experiment = small_experiment(sty=0, cyc=0)
    state = State(experiment, 2)
    before = copy.deepcopy(state.nets.style_encoder.state_dict())
    train_step(state, small_batch(), experiment.loss, 1.0)
    assert all((before[key] == value).all() for key, value in state.nets.style_encoder.state_dict().items())


def encoder_after_a_step(encoder_learns):
    """A state in float64 before a step, the state after it, and the batch."""
    torch.manual_seed(0)
    settings = small_experiment().model_dump(mode="json")
    settings["train"]["encoder_learns"] = encoder_learns
    experiment = Experiment.model_validate(settings)
    state = State(experiment, 3)
    for module in (state.nets, state.ema, state.discriminator):
        module.double()
    batch = small_batch().to("cpu", torch.float64)
    return state, batch, experiment.loss


@pytest.mark.parametrize("encoder_learns", ["latent", "both"])
def test_the_style_encoder_gets_the_gradient_of_the_reference_guided_loss_only_where_asked(encoder_learns, monkeypatch):
    """The gradient is that of equation 6 written out, with autograd through all of it; the state is that right before
    the reference-guided step.
    """
    state, batch, loss = encoder_after_a_step(encoder_learns)
    seen = {}

    def record(state, *names):
        if len(names) < 3 and "generator" in names:
            seen["names"] = names
            seen["gradients"] = [weight.grad for weight in state.nets.style_encoder.parameters()]
            seen["nets"], seen["discriminator"] = map(copy.deepcopy, (state.nets, state.discriminator))
        optimize(state, *names)

    optimize = step._optimize
    monkeypatch.setattr(step, "_optimize", record)
    train_step(state, batch, loss, 0.7)
    moved = any(
        (one != other).any()
        for one, other in zip(
            seen["nets"].style_encoder.parameters(), state.nets.style_encoder.parameters(), strict=True
        )
    )
    assert moved == (encoder_learns == "both")
    if encoder_learns == "latent":
        assert seen["names"] == ("generator",)
        return
    nets, target = seen["nets"], batch.target_domain
    encoder = nets.style_encoder
    style, style2 = encoder(batch.reference, target), encoder(batch.reference2, target).detach()
    fake = nets.generator(batch.source, style)
    total = torch.nn.functional.softplus(-seen["discriminator"](fake, target)).mean()
    total = total + loss.sty * (encoder(fake, target) - style).abs().mean()
    total = total - 0.7 * (fake - nets.generator(batch.source, style2).detach()).abs().mean()
    back = nets.generator(fake, encoder(batch.source, batch.source_domain))
    total = total + loss.cyc * (back - batch.source).abs().mean()
    expected = torch.autograd.grad(total, list(encoder.parameters()), allow_unused=True)
    assert sum(gradient is not None for gradient in expected) > 10
    for ours, theirs in zip(seen["gradients"], expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-12)


def test_state_survives_a_round_trip():
    torch.manual_seed(0)
    experiment = small_experiment()
    a, b = State(experiment, 2), State(experiment, 2)
    train_step(a, small_batch(), experiment.loss, 1.0)
    b.load_state_dict(copy.deepcopy(a.state_dict()))
    one = train_step(a, small_batch(), experiment.loss, 0.5)
    other = train_step(b, small_batch(), experiment.loss, 0.5)
    assert all((one[name] == other[name]).all() for name in one)


LADDER = experiments.load("paper_ladder")
PHASE_TERMS = {
    "A_stargan": ({"real", "fake", "gp", "cls"}, {"adv", "cls", "cyc"}),
    "B_multi_task": ({"real", "fake", "gp"}, {"adv", "cyc"}),
    "C_r1_adain": ({"real", "fake", "r1"}, {"adv", "cyc"}),
    "D_latent": ({"real", "fake", "r1"}, {"adv", "sty", "cyc"}),
    "E_style_code": ({"real", "fake", "r1"}, {"adv", "sty", "cyc"}),
    "F_diversity": ({"real", "fake", "r1"}, {"adv", "sty", "ds", "cyc"}),
}


@pytest.mark.parametrize("rung", LADDER.variants)
def test_each_rung_of_the_ladder_has_its_terms_and_trains_its_networks(rung):
    torch.manual_seed(0)
    resolved = LADDER.resolve(rung)
    small = {"first_width": 4, "max_width": 8, "latent_dim": 3, "style_dim": 5, "mapping_width": 8}
    resolved = resolved.model_copy(update={"model": resolved.model.model_copy(update=small)})
    state = State(resolved, 2)
    before = copy.deepcopy(state.nets.state_dict())
    of_d, of_g = PHASE_TERMS[rung]
    modes = ("latent", "reference") if rung[0] in "EF" else ("latent",)
    terms = train_step(state, small_batch(), resolved.loss, resolved.loss.ds)
    assert set(terms) == {f"d_{mode}/{name}" for mode in modes for name in of_d} | {
        f"g_{mode}/{name}" for mode in modes for name in of_g
    }
    assert all(term.isfinite() for term in terms.values())
    after = state.nets.state_dict()
    for name in state.nets.trained():
        assert any((after[key] != value).any() for key, value in before.items() if key.startswith(name)), name


def many_domains(sparse, steps=2):
    """A state of 6 domains, 3 of which the small batch has, after steps in float64; and as it was before."""
    torch.manual_seed(0)
    experiment = small_experiment()
    experiment = experiment.model_copy(update={"train": experiment.train.model_copy(update={"sparse_heads": sparse})})
    state = State(experiment, 6)
    for module in (state.nets, state.ema, state.discriminator):
        module.double()
    before = copy.deepcopy(state.nets.state_dict())
    batch = small_batch()
    batch = batch._replace(source_domain=torch.tensor([4, 0]), target_domain=torch.tensor([1, 4]))
    for _ in range(steps):
        train_step(state, batch.to("cpu", torch.float64), experiment.loss, 1.0)
    return state, before


@pytest.mark.parametrize(
    ("steps", "compared"),
    [(1, "mapping_network|style_encoder"), (2, r"mapping_network.unshared.[0235]|style_encoder.unshared.[235]")],
)
def test_only_the_heads_of_the_batch_are_computed_to_the_same_result(monkeypatch, steps, compared):
    """Of the second step just the absent heads: where a gradient is 0 but for rounding, as a bias has it before an
    instance norm, Adam makes a whole step of it, and the generators part.
    """
    state, before = many_domains(False, steps)
    monkeypatch.setattr("sg2bench.models.networks._select", naive.select)
    expected, _ = many_domains(False, steps)
    for module in ("nets", "ema"):
        ours, theirs = (getattr(each, module).state_dict() for each in (state, expected))
        keys = [key for key in ours if re.match(compared, key)]
        assert len(keys) > 10
        for key in keys:
            torch.testing.assert_close(ours[key], theirs[key], rtol=1e-9, atol=1e-12, msg=key)
            assert not key.endswith("weight") or (ours[key] != before[key]).any()


def test_sparse_heads_rest_where_no_sample_has_their_domain():
    state, before = many_domains(sparse=True)
    after, average = state.nets.state_dict(), state.ema.state_dict()
    moved = {key for key, value in after.items() if (value != before[key]).any()}
    assert {key for key in average if (average[key] != before[key]).any()} == moved
    heads = {key.split(".")[2] for key in moved if "mapping_network.unshared" in key}
    assert heads == {"1", "4"}
    assert {key.split(".")[2] for key in moved if "style_encoder.unshared" in key} == {"0", "1", "4"}
    assert {key for key in before if "unshared" not in key and not key.endswith("hpf.filter")} <= moved


@pytest.mark.parametrize("saved", [False, True])
def test_the_average_of_a_resting_head_is_that_of_all_its_steps(saved):
    """Whenever it catches up, and across checkpoints."""
    torch.manual_seed(0)
    settings = small_experiment().model_dump(mode="json")
    settings["train"] |= {"sparse_heads": True, "ema_decay": 0.9}
    experiment = Experiment.model_validate(settings)
    state = State(experiment, 6)
    for module in (state.nets, state.ema, state.discriminator):
        module.double()
    expected = copy.deepcopy(state.ema.state_dict())
    for place, (source, target) in enumerate([(4, 1), (0, 4), (5, 5), (1, 0), (0, 0)]):
        batch = small_batch()._replace(source_domain=torch.tensor([4, source]), target_domain=torch.tensor([2, target]))
        train_step(state, batch.to("cpu", torch.float64), experiment.loss, 1.0)
        for key, value in state.nets.state_dict().items():
            expected[key] = expected[key] * 0.9 + value * 0.1
        if place == 1:
            state.catch_up()
        if saved and place == 2:
            stored, state = state.state_dict(), State(experiment, 6)
            for module in (state.nets, state.ema, state.discriminator):
                module.double()
            state.load_state_dict(stored)
    state.catch_up()
    for key, value in state.ema.named_parameters():
        torch.testing.assert_close(value, expected[key], rtol=1e-10, atol=1e-13, msg=key)


def terms_of_steps(steps=2, **train):
    """What each step gives, and the state after the last."""
    torch.manual_seed(0)
    settings = small_experiment().model_dump(mode="json")
    settings["train"] |= train
    experiment = Experiment.model_validate(settings)
    state = State(experiment, 3)
    return [train_step(state, small_batch(), experiment.loss, 1.0) for _ in range(steps)], state


def test_bf16_keeps_the_terms_r1_and_the_weights_in_float32():
    (first, second), state = terms_of_steps(precision="bf16")
    (expected, then), _ = terms_of_steps()
    assert {term.dtype for term in first.values()} == {torch.float32}
    assert {weight.dtype for weight in state.nets.state_dict().values()} == {torch.float32}
    assert first["d_latent/r1"] == expected["d_latent/r1"]
    assert first["g_latent/cyc"] != expected["g_latent/cyc"]
    for ours, theirs in ((first, expected), (second, then)):
        for name, term in ours.items():
            torch.testing.assert_close(term, theirs[name], rtol=0.1, atol=0.02, msg=name)
