from __future__ import annotations

import sys

import pandas as pd
import pytest
import torch

from sg2bench.config import Experiment
from sg2bench.data import sets
from sg2bench.training import compiled, loop, state

CPU = torch.device("cpu")


def changed(experiment, **parts):
    plain = experiment.model_dump(mode="json")
    for part, values in parts.items():
        plain[part] |= values
    return Experiment.model_validate(plain)


def same(a, b):
    return all((value == b.state_dict()[key]).all() for key, value in a.state_dict().items())


@pytest.fixture
def image_set(tiny):
    return sets.load(tiny.data, 32)


def test_training_writes_a_log_and_the_averaged_networks(tiny, image_set, tmp_path):
    nets = loop.train(tiny, 0, image_set, tmp_path, CPU, "hash")
    log = pd.read_csv(tmp_path / "train.csv")
    assert log["step"].tolist() == [1, 2, 3, 4]
    assert log["ds_weight"].tolist() == [1, 0.75, 0.5, 0.25]
    assert len([c for c in log.columns if "/" in c]) == 14
    assert {path.name for path in tmp_path.glob("*.ckpt")} == {"000004_nets_ema.ckpt", "000004_nets.ckpt"}
    assert {path.name for path in tmp_path.glob("*.pt")} == {"checkpoint.pt"}
    assert same(nets, loop.train(tiny, 0, image_set, tmp_path, CPU, "hash"))


def test_an_interrupted_run_resumes_to_the_same_result(tiny, image_set, tmp_path, monkeypatch):
    for name in ("whole", "cut"):
        (tmp_path / name).mkdir()
    whole = loop.train(tiny, 0, image_set, tmp_path / "whole", CPU, "hash")
    step, calls = loop.train_step, []

    def failing(*arguments):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return step(*arguments)

    monkeypatch.setattr(loop, "train_step", failing)
    with pytest.raises(KeyboardInterrupt):
        loop.train(tiny, 0, image_set, tmp_path / "cut", CPU, "hash")
    monkeypatch.setattr(loop, "train_step", step)
    again = loop.train(tiny, 0, image_set, tmp_path / "cut", CPU, "hash")
    assert same(whole, again)
    logs = [(tmp_path / name / "train.csv").read_text() for name in ("whole", "cut")]
    assert logs[0] == logs[1]


def test_a_run_that_is_told_to_stop_saves_and_resumes(tiny, image_set, tmp_path):
    for name in ("whole", "stopped"):
        (tmp_path / name).mkdir()
    whole = loop.train(tiny, 0, image_set, tmp_path / "whole", CPU, "hash")
    with pytest.raises(loop.StoppedError):
        loop.train(tiny, 0, image_set, tmp_path / "stopped", CPU, "hash", stop=lambda: True)
    assert pd.read_csv(tmp_path / "stopped/train.csv")["step"].tolist() == [1]
    assert same(whole, loop.train(tiny, 0, image_set, tmp_path / "stopped", CPU, "hash"))


@pytest.mark.skipif(sys.platform != "linux", reason="auto compiles only there")
@pytest.mark.parametrize(("steps", "compiles"), [(9_999, False), (10_000, True)])
def test_a_long_training_is_compiled_and_says_so(tiny, image_set, tmp_path, steps, compiles, monkeypatch):
    monkeypatch.setattr(compiled, "_compile", lambda graph: graph)
    monkeypatch.setattr(state, "missing_to_compile", lambda: "")
    longer, said = changed(tiny, train={"steps": steps, "batch_size": 4, "compile": "auto"}), []
    with pytest.raises(loop.StoppedError):
        loop.train(longer, 0, image_set, tmp_path, CPU, "hash", stop=lambda: True, say=said.append)
    assert [line[:9] for line in said] == ["compiling", "compiled "] * compiles


def test_seeds_differ_and_variants_of_a_seed_begin_alike(tiny, image_set, tmp_path):
    for name in "abc":
        (tmp_path / name).mkdir()
    a = loop.train(tiny, 0, image_set, tmp_path / "a", CPU, "hash")
    b = loop.train(tiny, 1, image_set, tmp_path / "b", CPU, "hash")
    assert not same(a, b)
    loop.train(changed(tiny, loss={"ds": 0}), 0, image_set, tmp_path / "c", CPU, "hash")
    full, no_ds = (pd.read_csv(tmp_path / name / "train.csv").iloc[0] for name in "ac")
    assert full["d_latent/real"] == no_ds["d_latent/real"]
    assert full["g_latent/cyc"] == no_ds["g_latent/cyc"]


def test_a_term_that_ends_early_leaves_its_column_empty(tiny, image_set, tmp_path):
    loop.train(changed(tiny, loss={"ds_steps": 2}), 0, image_set, tmp_path, CPU, "hash")
    log = pd.read_csv(tmp_path / "train.csv")
    assert log["g_latent/ds"].notna().tolist() == [True, True, False, False]
    assert log["g_latent/cyc"].notna().all()


def test_divergence_is_an_error_with_its_term(tiny, image_set, tmp_path):
    with pytest.raises(ValueError, match=r"step \d: .* training diverged; try a lower learning rate"):
        loop.train(changed(tiny, train={"learning_rate": 1e30}), 0, image_set, tmp_path, CPU, "hash")
