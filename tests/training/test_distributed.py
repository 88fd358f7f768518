"""Two processes of half a batch each give what one gives of the whole. All that two have to do is done in one start."""

from __future__ import annotations

import os
import signal
import socket
import sys
from pathlib import Path

import pytest
import torch
import torch.multiprocessing

from sg2bench import distributed, experiments
from sg2bench.config import Experiment
from sg2bench.data import sets
from sg2bench.data.batches import Batch
from sg2bench.evaluation.evaluator import Evaluator
from sg2bench.models.networks import Networks
from sg2bench.runs.perform import Stop
from sg2bench.training import compiled, loop
from sg2bench.training.state import State
from sg2bench.training.step import train_step

pytestmark = pytest.mark.xdist_group("distributed")

CPU = torch.device("cpu")
SIZES = {"image_size": 32, "first_width": 4, "max_width": 8, "style_dim": 5, "latent_dim": 3, "mapping_width": 8}
LADDER = experiments.load("paper_ladder")
LOSSES = {"full": {}, **{f"without {term}": {term: 0} for term in ("adv", "sty", "ds", "cyc", "r1")}}
CASES = {
    **{name: (3, {}, loss, {}) for name, loss in LOSSES.items()},
    "the encoder learns on both": (3, {}, {}, {"encoder_learns": "both"}),
    **{
        rung: (3, resolved.model.model_dump(include={"condition", "discriminator"}), resolved.loss.model_dump(), {})
        for rung in LADDER.variants
        for resolved in [LADDER.resolve(rung)]
    },
    "compiled": (3, {"condition": "label"}, {"sty": 0, "ds": 0, "cyc": 0}, {"compile": True}),
    "absent heads": (12, {}, {}, {}),
    "absent heads rest": (12, {}, {}, {"sparse_heads": True}),
    "absent heads rest, both": (12, {}, {}, {"sparse_heads": True, "encoder_learns": "both"}),
    "more domains than images in a share": (6, {}, {}, {}),
    "more domains than images in a share, sparse": (6, {}, {}, {"sparse_heads": True}),
}
"""Number of domains, and settings of model, loss and training. Of 12 domains, two shares have other ones."""


def batch(step, domains):
    """A whole batch of 8 in float64, whose second half has other domains than the first."""
    generator = torch.Generator().manual_seed(step)
    images = torch.rand(3, 8, 3, 32, 32, generator=generator) * 2 - 1
    labels = [torch.tensor(given) % domains for given in ([0, 1, 2, 0, 3, 4, 5, 3], [1, 1, 0, 2, 4, 3, 8, 8])]
    latents = torch.randn(2, 8, 3, generator=generator)
    mix = torch.rand(8, generator=generator)
    return Batch(images[0], labels[0], images[1], images[2], labels[1], *latents, mix).to(CPU, torch.float64)


def steps(case):
    """Terms of three steps, averaged over the processes, and all parameters after them, by name."""
    domains, model, loss, train = CASES[case]
    torch.manual_seed(0)
    modes = {"modes": ["latent"]} if model.get("condition") in ("label", "label_map") else {}
    experiment = Experiment(
        name="small", model=SIZES | model, loss=loss, train={"batch_size": 8} | train, evaluate=modes
    )
    state = State(experiment, domains)
    modules = {"nets": state.nets, "ema": state.ema, "discriminator": state.discriminator}
    for module in modules.values():
        module.double()
    terms = {}
    for step, weight in enumerate((1.0, 0.5, 0.0)):
        share = batch(step, domains).share(distributed.rank(), distributed.size())
        found = train_step(state, share, experiment.loss, experiment.loss.ds and weight)
        terms |= {f"{step} {name}": distributed.average(term.clone()) for name, term in found.items()}
    weights = {f"{name}.{key}": w.detach() for name, m in modules.items() for key, w in m.named_parameters()}
    return terms | weights


TINY = Experiment(
    name="tiny",
    data={"train_per_domain": 6, "val_per_domain": 5},
    model=SIZES,
    train={"steps": 4, "batch_size": 4, "log_every": 1, "save_every": 2},
    evaluate={"metrics": ["fd_alexnet", "lpips"], "resize": 64, "sources": 3, "outputs_per_source": 2},
)


def trained(folder, until=None, batch_size=4):
    """The averaged networks of a training in float64, stopped after the step `until` if it is given."""
    done = []

    def stop():
        done.append(1)
        return len(done) == until

    experiment = TINY.model_copy(update={"train": TINY.train.model_copy(update={"batch_size": batch_size})})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Batch.to, "__defaults__", (torch.float64,))
        torch.set_default_dtype(torch.float64)
        try:
            folder.mkdir(exist_ok=True)
            nets = loop.train(experiment, 0, sets.load(TINY.data, 32), folder, CPU, "hash", stop)
            return {name: weight.detach() for name, weight in nets.named_parameters()}
        except loop.StoppedError:
            return {}
        finally:
            torch.set_default_dtype(torch.float32)


def numbers(values):
    return [(v.mode, v.source, v.target, v.metric, v.value, *v.estimate.interval(), v.n_real, v.n_fake) for v in values]


def measured():
    """Values of a model with random weights, and the pairs that this process measured."""
    torch.manual_seed(0)
    pairs = []
    values = Evaluator(TINY.evaluate, sets.load(TINY.data, 32), 32).model(Networks(TINY.model, 3), pairs.append)
    return numbers(values), pairs


def averaged():
    """Gradients of three weights after averaging; the first process has one for the first, the other for two."""
    weights = [torch.nn.Parameter(torch.zeros(2)) for _ in range(3)]
    for weight, gradient in zip(weights, [(1.0,), (3.0, 5.0)][distributed.rank()], strict=False):
        weight.grad = torch.tensor([gradient, 0.0])
    distributed.average_gradients(weights)
    return [None if weight.grad is None else weight.grad.tolist() for weight in weights]


def stopped_together():
    """Whether each asks to stop, before and after the second has had a signal, and with which exit code it ends."""
    stop = Stop()
    before = stop()
    try:
        with stop.during_training():
            if distributed.rank() == 1:
                os.kill(os.getpid(), signal.SIGTERM)
            after = stop()
    except SystemExit as ended:
        return before, after, ended.code


def outcome(function, *args):
    """How a call ends: with a result, an error, or an exit without a word."""
    try:
        return function(*args)
    except (ValueError, OSError) as error:
        return f"{type(error).__name__}: {error}"
    except SystemExit as error:
        return error.code


def fail_in(place):
    if distributed.rank() == place:
        raise ValueError(f"{place} failed")
    return "fine"


def in_process(place, port, folder):
    """What one of two processes does; its results go to a file."""
    torch.set_num_threads(1)
    os.environ |= {"WORLD_SIZE": "2", "RANK": str(place), "MASTER_ADDR": "localhost", "MASTER_PORT": str(port)}
    compiled._compile = lambda graph: graph
    with distributed.joined():
        results = {
            "steps": {case: steps(case) for case in CASES},
            "whole": trained(folder / "by two"),
            "cut": trained(folder / "two, then one", until=2),
            "resumed": trained(folder / "one, then two"),
            "measured": measured(),
            "averaged": averaged(),
            "mapped": distributed.map_items(lambda item: (item, distributed.rank()), "abc"),
            "first": distributed.from_first(distributed.rank),
            "failed in the first": outcome(distributed.from_first, fail_in, 0),
            "failed in the second": outcome(distributed.together, fail_in, 1),
            "uneven": outcome(trained, folder / "uneven", None, 3),
            "unshared": outcome(trained, folder / ["by two", "unshared"][place]),
            "stopped": stopped_together(),
        }
    if sys.platform == "linux":
        results["threads"] = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]
    torch.save(results, folder / f"{place}.pt")


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The results of both processes, and the folder of what they trained."""
    folder = tmp_path_factory.mktemp("distributed")
    trained(folder / "one, then two", until=2)
    with socket.create_server(("localhost", 0)) as free:
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(in_process, (port, folder), nprocs=2)
    return [torch.load(folder / f"{place}.pt", weights_only=False) for place in range(2)], folder


@pytest.mark.parametrize("case", CASES)
def test_two_processes_of_half_a_batch_give_what_one_gives_of_the_whole(both, case, monkeypatch):
    monkeypatch.setattr(compiled, "_compile", lambda graph: graph)
    one, (first, second) = steps(case), [results["steps"][case] for results in both[0]]
    assert first.keys() == second.keys() == one.keys()
    for name, tensor in one.items():
        torch.testing.assert_close(first[name], tensor, rtol=0, atol=1e-8, msg=f"{name}: {first[name] - tensor}")
        assert (first[name] == second[name]).all(), name


@pytest.fixture(scope="module")
def by_one(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("alone") / "by one")


@pytest.mark.parametrize("way", ["by two", "one, then two", "two, then one"])
def test_training_resumes_on_another_number_of_processes_to_the_same_result(both, by_one, way):
    (first, second), folder = both
    key = {"by two": "whole", "one, then two": "resumed"}.get(way)
    found = [first[key], second[key]] if key else [trained(folder / way)]
    for weights in found:
        assert weights.keys() == by_one.keys()
        for name, weight in by_one.items():
            torch.testing.assert_close(weights[name], weight, rtol=0, atol=1e-8, msg=name)
    assert (folder / way / "train.csv").read_text().count("\n") == 5
    assert {path.name for path in (folder / way).glob("*.ckpt")} == {"000004_nets_ema.ckpt", "000004_nets.ckpt"}


def test_processes_share_the_pairs_of_an_evaluation_whose_values_are_those_of_one(both):
    values, pairs = measured()
    (first, of_first), (second, of_second) = (results["measured"] for results in both[0])
    assert first == second == values
    assert (of_first, of_second) == (pairs[::2], pairs[1::2])


def test_means_of_gradients_count_a_missing_one_as_zero(both):
    assert [results["averaged"] for results in both[0]] == [[[2, 0], [2.5, 0], None]] * 2


def test_items_are_shared_out_and_come_back_in_order(both):
    assert [results["mapped"] for results in both[0]] == [[("a", 0), ("b", 1), ("c", 0)]] * 2
    assert [results["first"] for results in both[0]] == [0, 0]


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("failed in the first", ["ValueError: 0 failed", 1]),
        ("failed in the second", [1, "ValueError: 1 failed"]),
        ("uneven", ["ValueError: train.batch_size: 3 images cannot be shared equally by 2 processes; ", 1]),
    ],
)
def test_where_one_fails_all_end_and_one_says_why(both, key, expected):
    for results, end in zip(both[0], expected, strict=True):
        assert str(results[key]).startswith(str(end))


def test_processes_that_see_other_checkpoints_are_refused(both):
    first, second = (results["unshared"] for results in both[0])
    assert "one process found a checkpoint of step 0, another one of step 4; --runs must be a folder" in first
    assert second == 1


def test_a_signal_to_one_stops_all(both):
    assert [results["stopped"] for results in both[0]] == [(False, True, 143)] * 2


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_no_thread_of_gloo_outlives_the_joint_work(both):
    for results in both[0]:
        assert not [name for name in results["threads"] if "gloo" in name]


def test_one_process_is_what_there_is_without_torchrun():
    with distributed.joined():
        assert (distributed.size(), distributed.rank(), distributed.gather("x")) == (1, 0, ["x"])


def test_more_domains_than_images_in_a_share_are_refused_where_compiling_was_asked_for(monkeypatch):
    monkeypatch.setattr(distributed, "size", lambda: 4)
    train = {"batch_size": 8, "compile": True}
    with pytest.raises(ValueError, match="train.batch_size is 8, 2 for each of 4 processes"):
        State(Experiment(name="small", model=SIZES, train=train), 3)
