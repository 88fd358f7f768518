from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sg2bench.config import Data, Evaluate
from sg2bench.data import sets
from sg2bench.evaluation import translators
from sg2bench.evaluation.evaluator import Evaluator
from sg2bench.evaluation.outputs import to_float
from sg2bench.models.networks import Networks


@pytest.fixture
def evaluator(tiny):
    return Evaluator(tiny.evaluate, sets.load(Data(train_per_domain=6, val_per_domain=5), 32), 32)


def test_stargan_as_a_user_s_function_has_its_own_values(evaluator, tiny):
    torch.manual_seed(0)
    nets = Networks(tiny.model, 3).eval()

    def translate(sources, target, latents, references):
        label = torch.full((len(sources),), evaluator.images.domains.index(target))
        style = nets.latent_style(latents, label) if references is None else nets.reference_style(references, label)
        return nets.decode(nets.encode(sources), style).clamp(-1, 1)

    theirs = translators.score(evaluator, translate, tiny.model.latent_dim)
    for ours, value in zip(evaluator.model(nets), theirs, strict=True):
        for field in ("mode", "source", "target", "metric"):
            assert getattr(value, field) == getattr(ours, field)
        # Encoded in another batch: a pixel may round otherwise.
        assert value.value == pytest.approx(ours.value, rel=2e-3)


def test_what_it_changes_for_the_whole_process_is_restored(evaluator, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    source = "import os, torch\nos.chdir('elsewhere')\ntorch.set_default_dtype(torch.float64)\n"
    (tmp_path / "changes_all.py").write_text(
        f"{source}def translate(images, *_, **__):\n    exec({source!r})\n    return images\n"
    )
    function = translators.load("changes_all:translate")
    assert (Path.cwd(), torch.get_default_dtype()) == (tmp_path, torch.float32)
    assert translators.score(evaluator, function, 7)
    assert (Path.cwd(), torch.get_default_dtype()) == (tmp_path, torch.float32)


@pytest.mark.parametrize("name", ["./my_model:translate", "my_model.py:translate", "models/mine:f"])
def test_a_path_is_no_module(name):
    with pytest.raises(ValueError, match="give the module's name, without a path or .py"):
        translators.load(name)


def test_it_is_given_sources_in_range_and_guidance_of_the_mode(evaluator, tiny):
    seen = {}

    def translate(sources, target, latents, references):
        assert (latents is None) != (references is None)
        seen.setdefault((target, latents is None), []).append((sources, latents, references))
        return sources

    translators.score(evaluator, translate, 7)
    assert set(seen) == {(domain, mode) for domain in ("bunny", "cat", "dog") for mode in (False, True)}
    sources, latents, _ = seen["cat", False][0]
    assert (sources.shape, latents.shape, sources.dtype) == ((6, 3, 32, 32), (6, 7), torch.float32)
    assert (sources[:2] == to_float(evaluator.images.batch("val", "bunny", [0, 0], 32))).all()
    assert seen["cat", True][0][2].shape == (6, 3, 32, 32)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: (x + 1) / 2, r"bunny: no pixel is below 0"),
        (lambda x: (x + 1) / 2 - 0.001, "so 0 seems to be black"),
        (lambda x: x * 2.6, "floats range from .* clamp if needed"),
        (lambda x: (x + 1) * 127.5, "floats range from .* black -1, white 1"),
        (lambda x: ((x + 1) / 2).to(torch.uint8), "no 8-bit pixel exceeds 0; were floats cast to integers"),
        (lambda x: (x * 127).to(torch.int64), "images are torch.int64; give uint8"),
        (lambda x: x * float("nan"), "NaN or infinity"),
        (lambda x: x[:, :1], r"cat → bunny: expected .* got \(6, 1, 32, 32\)"),
        (lambda x: x[:1], r"got \(1, 3, 32, 32\)"),
        (lambda x: x.numpy(), "got ndarray"),
        (lambda x: x.to_sparse(), "cat → bunny: the result is sparse or nested; return an array of numbers"),
        (lambda x: torch.nested.nested_tensor(list(x)), "the result is sparse or nested"),
        (lambda x: torch.quantize_per_tensor(x, 0.1, 0, torch.quint8), "the result is quantised"),
        (lambda x: x.to("meta"), "the result is a meta tensor"),
        (lambda x: x.to(torch.complex64), "images are torch.complex64; give uint8"),
        (lambda x: x.to(torch.float8_e4m3fn), "images are torch.float8_e4m3fn; give uint8"),
        (lambda x: x > 0, "images are torch.bool; give uint8"),
        (lambda x: x * float("inf"), "NaN or infinity|floats range from"),
    ],
)
@pytest.mark.filterwarnings("ignore")  # of torch, about kinds of tensors that are new or going away
def test_outputs_out_of_contract_are_refused(evaluator, change, message):
    with pytest.raises(ValueError, match=message):
        translators.score(evaluator, lambda sources, *_, **__: change(sources), 3)


@pytest.mark.parametrize("metric", ["fd_alexnet", "lpips"])
def test_uint8_is_as_good_as_floats(tiny, metric):
    found = sets.load(Data(train_per_domain=6, val_per_domain=5), 32)
    evaluator = Evaluator(tiny.evaluate.model_copy(update={"metrics": (metric,)}), found, 32)
    floats = translators.score(evaluator, lambda sources, *_, **__: sources, 3)
    again = translators.score(evaluator, lambda sources, *_, **__: sources, 3)
    bytes_ = translators.score(evaluator, lambda x, *_, **__: ((x + 1) * 127.5).round().to(torch.uint8), 3)
    assert [v.value for v in floats] == [v.value for v in again] == [v.value for v in bytes_]


def test_8_bit_outputs_are_measured_as_what_they_show_by_the_paper_s_protocol(tiny):
    evaluate = Evaluate(
        protocol="paper", metrics=("lpips",), sources=3, outputs_per_source=2, batch_size=3, modes=("latent",)
    )
    evaluator = Evaluator(evaluate, sets.load(Data(train_per_domain=6, val_per_domain=5), 64), 64)

    def brightened(x, target, latents, references):
        return (x * 0.8 + 0.2 * latents[:, :3, None, None].tanh()).add(1).mul(127.5).clamp(0, 255).round() / 127.5 - 1

    floats = translators.score(evaluator, brightened, 3)
    bytes_ = translators.score(
        evaluator, lambda *a, **k: ((brightened(*a, **k) + 1) * 127.5).round().to(torch.uint8), 3
    )
    assert [v.value for v in bytes_] == pytest.approx([v.value for v in floats], rel=1e-4)


@pytest.mark.parametrize(
    ("raised", "message"),
    [
        (
            RuntimeError("no such layer"),
            r"translator, cat → bunny: RuntimeError: no such layer \(.*test_translators.py:\d+\)",
        ),
        (SystemExit(0), "translator, cat → bunny: SystemExit: 0"),
        (ValueError("two\nlines"), "ValueError: two lines"),
    ],
)
def test_whatever_the_function_raises_is_told_in_one_line(evaluator, raised, message):
    def translate(*_, **__):
        raise raised

    with pytest.raises(ValueError, match=message):
        translators.score(evaluator, translate, 3)


def test_a_module_that_fails_or_exits_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, text, message in (
        ("broken_one", "x = undefined", "NameError: name 'undefined' is not defined"),
        ("exiting_one", "import sys\nsys.exit(0)", "SystemExit: 0"),
    ):
        (tmp_path / f"{name}.py").write_text(text)
        with pytest.raises(ValueError, match=message):
            translators.load(f"{name}:f")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing", "expected module:callable"),
        ("no_such_module:f", "No module named 'no_such_module'"),
        ("math:no_such", "has no attribute 'no_such'"),
        ("math:pi", "is a float, which cannot be called"),
    ],
)
def test_what_cannot_be_loaded_is_an_error(name, message):
    with pytest.raises(ValueError, match=message):
        translators.load(name)


def test_a_dotted_attribute_is_found_and_a_callable_is_taken_as_it_is():
    assert translators.load("pathlib:Path.cwd")() is not None
    assert translators.load(print) is print
