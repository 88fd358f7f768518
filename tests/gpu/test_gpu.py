"""What can go another way on a GPU; run by `nox -s gpu`."""

from __future__ import annotations

import gc

import pytest
import torch
import torch.nn.functional as F

from sg2bench import devices
from sg2bench.config import Experiment, Model
from sg2bench.data import sets
from sg2bench.data.batches import Batches
from sg2bench.evaluation.evaluator import Evaluator
from sg2bench.models.convolution import conv2d
from sg2bench.models.networks import Networks
from sg2bench.training.state import State
from sg2bench.training.step import train_step
from tests.cli.test_cli import SMOKE

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")]
CUDA = torch.device("cuda")
MODEL = {"image_size": 32, "first_width": 16, "max_width": 32, "mapping_width": 32}


def steps(device, dtype=torch.float32, number=2, w_hpf=0, **train):
    """Terms and networks after a few steps on critters."""
    experiment = Experiment(
        name="gpu",
        data={"train_per_domain": 8, "val_per_domain": 4},
        model=MODEL | {"w_hpf": w_hpf},
        train={"batch_size": 4, "compile": False} | train,
    )
    images = sets.load(experiment.data, 32)
    torch.manual_seed(0)
    state = State(experiment, 3)
    for module in (state.nets, state.ema, state.discriminator):
        module.to(device, dtype)
    # Cropping every image makes references differ: with equal ones, two fakes are equal, and the sign of their
    # difference, the diversity term's gradient, is that of a rounding error.
    batches = Batches(images, 0, 4, 32, experiment.model.latent_dim, 1.0)
    with devices.true_float32():
        terms = []
        for index in range(number):
            terms.append(train_step(state, batches[index].to(device, dtype), experiment.loss, 0.7))
            gc.collect()  # a recording must not read tensors that nothing else holds
    return [{name: term.item() for name, term in each.items()} for each in terms], state


def test_steps_are_those_of_the_cpu():
    ours, state = steps(CUDA, torch.float64)
    expected, other = steps(torch.device("cpu"), torch.float64)
    for terms, theirs in zip(ours, expected, strict=True):
        assert terms == pytest.approx(theirs, rel=1e-8, abs=1e-10)
    for weight, theirs in zip(state.nets.parameters(), other.nets.parameters(), strict=True):
        torch.testing.assert_close(weight.cpu(), theirs, rtol=1e-6, atol=1e-8)


def test_gradients_are_those_of_the_cpu():
    """Those that the first step leaves, of each network's last sub-step."""
    found, expected = (steps(torch.device(name), torch.float64, number=1)[1] for name in ("cuda", "cpu"))
    for ours, theirs in ((found.nets, expected.nets), (found.discriminator, expected.discriminator)):
        others = dict(theirs.named_parameters())
        for name, weight in ours.named_parameters():
            torch.testing.assert_close(weight.grad.cpu(), others[name].grad, rtol=1e-6, atol=1e-10, msg=name)


@pytest.mark.parametrize(
    ("dtype", "rel", "options"),
    [
        (torch.float64, 1e-8, {}),
        (torch.float64, 1e-8, {"w_hpf": 1.0}),
        (torch.float32, 1e-2, {}),
        (torch.float32, 0.1, {"precision": "bf16"}),
    ],
)
def test_recorded_steps_are_the_eager_ones(dtype, rel, options):
    """Several steps: the first records, the others replay, with other weights and batches."""
    ours, _ = steps(CUDA, dtype, number=5, **options, compile=True)
    expected, _ = steps(CUDA, dtype, number=5, **options)
    for terms, theirs in zip(ours, expected, strict=True):
        assert terms == pytest.approx(theirs, rel=rel, abs=min(rel, 1e-2))


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(3, 1, 1), (4, 2, 1), (4, 1, 0), (1, 1, 0)])
def test_a_penalty_s_gradients_are_torch_s(kernel, stride, padding):
    torch.manual_seed(0)
    x, weight = torch.randn(2, 3, 9, 9, dtype=torch.float64), torch.randn(5, 3, kernel, kernel, dtype=torch.float64)
    found = []
    for convolve in (conv2d, F.conv2d):
        leaves = [each.to(CUDA).requires_grad_() for each in (x, weight)]
        convolved = convolve(*leaves, torch.ones(5, device=CUDA, dtype=torch.float64), stride=stride, padding=padding)
        (gradient,) = torch.autograd.grad(convolved.tanh().sum(), leaves[0], create_graph=True)
        found.append(torch.autograd.grad(gradient.square().sum(), leaves))
    torch.testing.assert_close(*found, rtol=1e-10, atol=1e-10)


def test_bf16_stays_near_float32():
    ours, _ = steps(CUDA, precision="bf16")
    expected, _ = steps(CUDA)
    for terms, theirs in zip(ours, expected, strict=True):
        assert terms == pytest.approx(theirs, rel=0.1, abs=0.05)


def test_values_are_those_of_the_cpu():
    experiment = Experiment(
        name="gpu",
        data={"train_per_domain": 20, "val_per_domain": 12},
        model=MODEL,
        evaluate={"metrics": ["fd_alexnet", "lpips", "truth_l1"], "resize": 64, "sources": 6, "outputs_per_source": 2},
    )
    images = sets.load(experiment.data, 32)
    torch.manual_seed(0)
    nets = Networks(Model(**MODEL), 3).eval()
    values = []
    for device in ("cpu", "cuda"):
        with devices.true_float32():
            evaluator = Evaluator(experiment.evaluate, images, 32, torch.device(device))
            found = evaluator.model(nets.to(device))
        values.append({(v.source, v.target, v.metric, v.mode): v.value for v in found})
    assert values[1] == pytest.approx(values[0], rel=1e-3)


def test_an_ablation_runs_and_goes_on_where_it_was_stopped(cli, tmp_path):
    places = ("--device", "cuda", "--runs", tmp_path / "runs", "--out", tmp_path / "out")
    shared = (*places, "--set", "train.loader_workers=1", "--set", "loss.ds_steps=6")
    for length in (4, 8):
        finished = cli("ablate", SMOKE, *shared, "--set", f"train.steps={length}", "--set", "resources.gpus=0.5")
        assert finished.returncode == 0, finished.stderr
    assert (tmp_path / "out/report.html").is_file()


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="there is one GPU")
def test_runs_of_two_gpus_are_those_of_one(cli, tmp_path):
    first_lines = []
    for gpus in (1, 2):
        places = ("--device", "cuda", "--runs", tmp_path / f"runs{gpus}", "--out", tmp_path / f"out{gpus}")
        finished = cli("ablate", SMOKE, *places, "--set", "train.log_every=1", "--set", f"resources.gpus={gpus}")
        assert finished.returncode == 0, finished.stderr
        log = next((tmp_path / f"runs{gpus}").glob("*/full/seed-0/train.csv"))
        first_lines.append([float(cell) for cell in log.read_text().splitlines()[1].split(",")])
    assert first_lines[1] == pytest.approx(first_lines[0], rel=1e-3)


def test_throughput_in_every_way(cli, tmp_path):
    options = ("--device", "cuda", "--batch", 1, "--batch", 8, "--out", tmp_path)
    finished = cli("bench", SMOKE, *options)
    assert finished.returncode == 0, finished.stderr
    table = (tmp_path / "bench.csv").read_text()
    assert all(execution in table for execution in ("eager", "compile", "cuda_graph"))
