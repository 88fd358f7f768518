from __future__ import annotations

import collections
import io
import sys
import sysconfig

import pytest
import torch
import torch.nn.functional as F
from torch._inductor import cpp_builder
from torch._inductor.exc import InvalidCxxCompiler
from torch.utils._python_dispatch import TorchDispatchMode

from sg2bench.config import Experiment, Loss
from sg2bench.data.batches import Batch
from sg2bench.keys import Train
from sg2bench.training import compiled, state
from sg2bench.training.compiled import Compiled, missing_to_compile
from sg2bench.training.state import State
from sg2bench.training.step import train_step

SIZES = {"image_size": 32, "first_width": 4, "max_width": 8, "style_dim": 5, "latent_dim": 3, "mapping_width": 8}


@pytest.fixture
def traced_alone(monkeypatch):
    """Graphs run as they were traced: what is compiled, without the minutes of a compiler."""
    monkeypatch.setattr(compiled, "_compile", lambda graph: graph)


def test_gradients_and_gradients_of_gradients_are_part_of_the_graph(traced_alone):
    """f = w x³: the penalty (df/dx)² = 9 w² x⁴ has the gradient 18 w x⁴ for w."""
    weight = torch.nn.Parameter(torch.tensor(2.0))

    def penalty(x):
        x = x.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(weight * x**3, x, create_graph=True)
        gradient.square().backward()
        return {"penalty": gradient.square().detach()}

    run = Compiled()
    for x, w in ((1.0, 2.0), (3.0, 2.0), (3.0, 0.5)):
        with torch.no_grad():
            weight.fill_(w)
        outputs = run("penalty", penalty, [weight], torch.tensor(x))
        assert outputs["penalty"].item() == pytest.approx(9 * w**2 * x**4)
        assert weight.grad.item() == pytest.approx(18 * w * x**4)


def test_a_weight_without_gradient_has_none(traced_alone):
    used, unused = (torch.nn.Parameter(torch.ones(())) for _ in range(2))

    def function(x):
        (used * x).backward()
        return {}

    run = Compiled()
    for _ in range(2):
        unused.grad = torch.ones(())
        run("f", function, [used, unused], torch.tensor(3.0))
        assert (used.grad, unused.grad) == (3, None)


def test_a_gradient_lies_in_memory_like_its_weight(traced_alone):
    weight = torch.nn.Parameter(torch.zeros(2, 3, 4, 4).to(memory_format=torch.channels_last))
    expected = torch.arange(96.0).view(2, 3, 4, 4)

    def function(x):
        weight.grad = x * expected
        return {}

    Compiled()("f", function, [weight], torch.tensor(2.0))
    assert weight.grad.stride() == weight.stride()
    assert weight.grad.equal(2 * expected)


class Counted(torch.fx.Interpreter):
    """Runs a graph and counts its operations by name."""

    counts: collections.Counter[str]

    def call_function(self, target, args, kwargs):
        self.counts[str(target).removeprefix("aten.").split(".")[0]] += 1
        return super().call_function(target, args, kwargs)


@pytest.fixture
def counts(monkeypatch):
    monkeypatch.setattr(Counted, "counts", collections.Counter(), raising=False)
    monkeypatch.setattr(compiled, "_compile", lambda graph: Counted(graph).run)
    return Counted.counts


def test_the_rest_continues_from_the_first_part(counts):
    """f = relu(exp(w x)), in place, with the norm of a row, whose kernel returns several tensors, and views of both.

    The first part's operations are not repeated, and a weight that changes in between does not change them.
    """
    first_weight, last_weight = (torch.nn.Parameter(torch.tensor([1.5, -0.5, 0.25])) for _ in range(2))

    def value(x):
        hidden = F.relu((first_weight * x).exp() - 1, inplace=True).view(1, 3)
        return F.layer_norm(hidden, [3]).view(3)

    def function(x):
        early = value(x)
        late = (last_weight * early.t() + early.square()).sum()
        late.backward()
        return {"early": early.detach()}, {"late": late.detach()}

    run, x = Compiled(), torch.tensor([0.3, -2.0, 4.0])
    for scale in (1.0, 2.0):
        counts.clear()
        early, finish = run.begin("f", function, [first_weight, last_weight], x * scale)
        assert counts["exp"] == counts["native_layer_norm"] == 1
        assert not counts["native_layer_norm_backward"]
        assert early["early"].tolist() == value(x * scale).tolist()
        with torch.no_grad():
            last_weight.mul_(-3)
        late = finish()
        assert counts["exp"] == counts["native_layer_norm"] == counts["native_layer_norm_backward"] == 1
        ours = [late["late"], first_weight.grad, last_weight.grad]
        first_weight.grad = last_weight.grad = None
        expected = [function(x * scale)[1]["late"], first_weight.grad, last_weight.grad]
        for got, correct in zip(ours, expected, strict=True):
            torch.testing.assert_close(got, correct)


def test_the_generator_makes_the_fakes_of_a_step_only_once(counts):
    """Convolutions forward: those of an eager step."""
    experiment = Experiment(name="small", model=SIZES, train={"batch_size": 4, "compile": True})
    train_step(state_of(experiment), batch_of_four(), Loss(), 1.0)
    eager = Eager()
    with eager:
        train_step(state_of(experiment.model_copy(update={"train": Train(batch_size=4)})), batch_of_four(), Loss(), 1.0)
    assert counts["convolution"] == eager.convolutions


class Eager(TorchDispatchMode):
    """Counts convolutions."""

    convolutions = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.convolutions += function is torch.ops.aten.convolution.default
        return function(*args, **(kwargs or {}))


def state_of(experiment):
    torch.manual_seed(0)
    made = State(experiment, 3)
    for module in (made.nets, made.ema, made.discriminator):
        module.double()
    return made


def batch_of_four():
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(3, 4, 3, 32, 32, generator=generator) * 2 - 1
    domains = torch.tensor([0, 1, 2, 0]), torch.tensor([1, 1, 0, 0])
    latents = torch.randn(2, 4, 3, generator=generator)
    batch = Batch(images[0], domains[0], images[1], images[2], domains[1], *latents, torch.rand(4, generator=generator))
    return batch.to("cpu", torch.float64)


def steps(train, loss, ds_weights):
    """Terms and parameters after a step for each diversity weight, in float64."""
    experiment = Experiment(name="small", model=SIZES, loss=loss, train={"batch_size": 4} | train)
    trained, batch = state_of(experiment), batch_of_four()
    terms = [train_step(trained, batch, experiment.loss, experiment.loss.ds and weight) for weight in ds_weights]
    return terms, [*trained.nets.parameters(), *trained.discriminator.parameters(), *trained.ema.parameters()]


@pytest.mark.parametrize(
    ("train", "loss", "ds_weights"),
    [
        ({}, {}, (1.0, 0.4, 0.0)),
        ({"encoder_learns": "both"}, {}, (1.0, 0.4)),
        ({}, {"r1": 0}, (1.0, 0.4)),
        *(pytest.param({}, {term: 0}, (1.0, 0.4), marks=pytest.mark.slow) for term in ("adv", "sty", "ds", "cyc")),
    ],
)
def test_traced_steps_are_the_eager_ones(traced_alone, train, loss, ds_weights):
    """Also when the diversity term falls to 0, and where weights and batches are no longer those of the trace."""
    ours, weights = steps(train | {"compile": True}, loss, ds_weights)
    expected, others = steps(train, loss, ds_weights)
    assert [set(terms) for terms in ours] == [set(terms) for terms in expected]
    for terms, theirs in zip(ours, expected, strict=True):
        for name, term in terms.items():
            torch.testing.assert_close(term, theirs[name], rtol=1e-9, atol=1e-12, msg=name)
    for weight, other in zip(weights, others, strict=True):
        torch.testing.assert_close(weight, other, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("compiled_first", [True, False])
def test_compiled_and_eager_steps_continue_each_others_checkpoints(traced_alone, compiled_first):
    """Also where weights and moments lie in memory in another order than those of the checkpoint."""
    trained = {}
    for switches in (False, True):
        saved = io.BytesIO()
        for step in range(2):
            compiles = compiled_first ^ (switches and step == 1)
            state = state_of(Experiment(name="small", model=SIZES, train={"batch_size": 4, "compile": compiles}))
            if step:
                state.load_state_dict(torch.load(io.BytesIO(saved.getvalue())))
            train_step(state, batch_of_four(), Loss(), 1.0)
            torch.save(state.state_dict(), saved)
        trained[switches] = [*state.nets.parameters(), *state.discriminator.parameters()]
    for weight, other in zip(trained[True], trained[False], strict=True):
        torch.testing.assert_close(weight, other, rtol=1e-9, atol=1e-10, check_stride=False)


def test_more_domains_than_images_in_a_batch_are_refused_where_compiling_was_asked_for():
    with pytest.raises(ValueError, match="train.compile: a compiled step computes the heads of all 3 domains"):
        State(Experiment(name="small", model=SIZES, train={"batch_size": 2, "compile": True}), 3)
    assert not state._compiles(Train(batch_size=2), 3, torch.device("cuda"), long=True)


@pytest.mark.parametrize(
    ("chosen", "long", "device", "compiles"),
    [
        ("auto", False, "cpu", False),
        ("auto", True, "cpu", sys.platform == "linux"),
        ("auto", False, "cuda", True),
        (True, False, "cpu", True),
        (False, True, "cpu", False),
        (False, True, "cuda", False),
    ],
)
def test_auto_records_on_a_gpu_and_compiles_long_trainings_on_a_cpu(chosen, long, device, compiles, monkeypatch):
    monkeypatch.setattr(state, "missing_to_compile", lambda: "")
    assert state._compiles(Train(compile=chosen), 3, torch.device(device), long) == compiles


@pytest.mark.parametrize(("chosen", "compiles"), [("auto", False), (False, False)])
def test_without_a_compiler_only_what_was_asked_for_is_refused(chosen, compiles, monkeypatch):
    monkeypatch.setattr(state, "missing_to_compile", lambda: "a C++ compiler")
    cpu = torch.device("cpu")
    assert state._compiles(Train(compile=chosen), 3, cpu, long=True) == compiles
    with pytest.raises(
        ValueError, match="train.compile: needs a C.. compiler; install it, or set train.compile to fal"
    ):
        state._compiles(Train(compile=True), 3, cpu, long=True)
    assert state._compiles(Train(compile=True), 3, torch.device("cuda"), long=False)


def test_a_missing_compiler_or_missing_headers_are_found(monkeypatch, tmp_path):
    def none_found():
        raise InvalidCxxCompiler

    monkeypatch.setattr(cpp_builder, "get_cpp_compiler", none_found)
    assert missing_to_compile() == "a C++ compiler"
    monkeypatch.setattr(cpp_builder, "get_cpp_compiler", lambda: "g++")
    monkeypatch.setattr(sysconfig, "get_path", lambda name: str(tmp_path))
    assert missing_to_compile() == "Python's headers"
    (tmp_path / "Python.h").touch()
    assert missing_to_compile() == ""


def test_a_failing_compiler_is_no_fault_of_the_program(monkeypatch):
    class InductorError(Exception):
        """Named like torch's."""

    def failing(*inputs):
        raise InductorError("CppCompileError: C++ compile error\n\nCommand: g++ …")

    monkeypatch.setattr(compiled, "_compile", lambda graph: failing)
    with pytest.raises(
        ValueError, match="^train.compile: failed: CppCompileError: C.. compile error; set train.compile"
    ):
        Compiled()("f", lambda x: {"y": 2 * x}, [], torch.ones(()))


@pytest.mark.slow
@pytest.mark.parametrize(("precision", "rtol"), [("float32", 1e-3), ("bf16", 0.05)])
@pytest.mark.filterwarnings("ignore")  # those of torch.compile about its own insides
def test_compiled_steps_give_the_terms_of_eager_ones(precision, rtol):
    torch.compiler.reset()
    (first, *_), _ = steps({"compile": True, "precision": precision}, {}, (1.0,))
    (expected, *_), _ = steps({"precision": precision}, {}, (1.0,))
    for name, term in first.items():
        torch.testing.assert_close(term, expected[name], rtol=rtol, atol=1e-2 * rtol, msg=name)
