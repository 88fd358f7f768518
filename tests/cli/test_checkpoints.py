"""End to end with model files, ours and the published form, as a user would."""

from __future__ import annotations

import pickle

import pandas as pd
import pytest
import torch
from PIL import Image

from sg2bench import experiments
from sg2bench import rows as row_table
from sg2bench.models import checkpoints
from sg2bench.models.networks import Networks, build_discriminator
from tests.cli.test_cli import assert_refused

EXPERIMENT = """
data: {train_per_domain: 6, val_per_domain: 4}
model: {image_size: 32, first_width: 4, max_width: 8, style_dim: 5, latent_dim: 3, mapping_width: 8}
train: {steps: 2, batch_size: 2}
evaluate: {resize: 64, outputs_per_source: 2}
variants: {full: {}, faces: {model.w_hpf: 1}}
"""


@pytest.fixture
def experiment(tmp_path):
    (tmp_path / "tiny.yaml").write_text(EXPERIMENT)
    return experiments.load(tmp_path / "tiny.yaml")


def saved(tmp_path, experiment, variant="full", domains=3):
    torch.manual_seed(0)
    nets = Networks(experiment.resolve(variant).model, domains)
    return checkpoints.save_ema(nets, tmp_path, 100_000)


def values(path):
    return row_table.read(path).set_index(["mode", "source", "target", "metric"])["value"]


def test_ours_and_the_published_form_give_the_same_rows(quick_cli, tmp_path, experiment):
    """A face model: `module.` before the keys and no high-pass filter in the published file."""
    ours = saved(tmp_path, experiment, "faces", domains=2)
    state = torch.load(ours, weights_only=True)
    published = {
        name: {f"module.{key}": value for key, value in net.items() if key != "hpf.filter"}
        for name, net in state.items()
    }
    (tmp_path / "published").mkdir()
    torch.save(published, tmp_path / "published/100000_nets_ema.ckpt", _use_new_zipfile_serialization=False)
    for path, out in ((ours, "ours.csv"), ("published/100000_nets_ema.ckpt", "theirs.csv")):
        few = ("--set", "evaluate.sources=2", "--set", "data.domains=[cat,dog]")
        process = quick_cli("evaluate", path, "--experiment", "tiny.yaml", "--variant", "faces", "--out", out, *few)
        assert process.returncode == 0, process.stderr
    pd.testing.assert_series_equal(values(tmp_path / "ours.csv"), values(tmp_path / "theirs.csv"))
    assert set(row_table.read(tmp_path / "ours.csv")["step"]) == {100_000}


@pytest.mark.parametrize(
    ("settings", "parts"),
    [
        (["data.domains=[cat,dog]"], ("only the checkpoint has `mapping_network.unshared.2", "domains 3", "domains 2")),
        (["model.image_size=64"], ("the file was made with image_size 32", "the configuration has image_size 64")),
        (["model.w_hpf=1"], ("`generator.", "the file was made with w_hpf 0.0, the configuration has w_hpf 1.0")),
    ],
)
def test_a_checkpoint_of_another_model_is_refused(quick_cli, tmp_path, experiment, settings, parts):
    path = saved(tmp_path, experiment)
    overrides = [argument for setting in settings for argument in ("--set", setting)]
    assert_refused(quick_cli("evaluate", path, "--experiment", "tiny.yaml", *overrides), str(path), *parts)
    assert not (tmp_path / "rows.csv").exists()


def test_damaged_and_odd_files_are_refused(quick_cli, tmp_path, experiment):
    state = torch.load(saved(tmp_path, experiment), weights_only=True)
    odd = {
        "empty": b"",
        "cut off": (tmp_path / "100000_nets_ema.ckpt").read_bytes()[:5000],
        "numbers for keys": {"generator": {1: torch.zeros(2)}},
        "no size": state | {"generator": state["generator"] | {"from_rgb.weight": torch.tensor(1.0)}},
    }
    for name, content in odd.items():
        path = tmp_path / f"{name}.ckpt"
        path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
        assert_refused(quick_cli("evaluate", path, "--experiment", "tiny.yaml"), str(path))
        assert_refused(quick_cli("translate", path, "--sources", ".", "--latent-seeds", 1), str(path))


def test_nan_and_tensors_that_are_no_arrays_are_refused_by_every_command(quick_cli, tmp_path, experiment):
    state = torch.load(saved(tmp_path, experiment), weights_only=True)
    (tmp_path / "in").mkdir()
    Image.new("RGB", (32, 32)).save(tmp_path / "in/a.png")
    key, weight = "to_rgb.2.weight", state["generator"]["to_rgb.2.weight"]
    for value, message in (
        (weight * float("nan"), "holds NaN or infinity"),
        (weight.to_sparse(), "is sparse"),
        (weight.flatten()[:1].as_strided((10**6, 10**6), (0, 0)), "clone views before saving"),
    ):
        torch.save(state | {"generator": state["generator"] | {key: value}}, tmp_path / "000009_nets_ema.ckpt")
        begin = ("--set", "train.start_from=000009_nets_ema.ckpt")
        for command in (
            ("evaluate", "000009_nets_ema.ckpt", "--experiment", "tiny.yaml"),
            ("translate", "000009_nets_ema.ckpt", "--sources", "in", "--latent-seeds", 1),
            ("translate", "000009_nets_ema.ckpt", "--sources", "in", "--latent-seeds", 1, "--experiment", "tiny.yaml"),
            ("run", "tiny.yaml", "--variant", "full", "--seed", 0, *begin),
        ):
            assert_refused(quick_cli(*command), "000009_nets_ema.ckpt: ", f"`generator.{key}`", message)
    assert not (tmp_path / "translated").exists()


def test_another_file_to_begin_with_is_another_run(quick_cli, tmp_path, experiment):
    """By its content, wherever it lies; and a finished run's rows keep the hash of the file it began with."""
    nets, discriminator = Networks(experiment.model, 3), build_discriminator(experiment.model, 3)
    checkpoints.save(nets, discriminator, tmp_path, 7)
    command = ("run", "tiny.yaml", "--variant", "full", "--seed", 0, "--set", "train.start_from=000007_nets.ckpt")
    assert quick_cli(*command).returncode == 0
    assert (tmp_path / "runs/tiny/full/seed-0/000002_nets.ckpt").is_file()
    checkpoints.save(Networks(experiment.model, 3), discriminator, tmp_path, 7)
    assert_refused(quick_cli(*command), "made with another configuration (other content of train.start_from)")


def test_code_in_a_checkpoint_is_refused(quick_cli, tmp_path, experiment):
    class Evil:
        def __reduce__(self):
            return (tmp_path / "ran").write_text, ("x",)

    (tmp_path / "evil.ckpt").write_bytes(pickle.dumps({"generator": Evil()}))
    assert_refused(
        quick_cli("evaluate", "evil.ckpt", "--experiment", "tiny.yaml"),
        "evil.ckpt: not a checkpoint that can be loaded safely",
        "(none of it was run)",
    )
    assert not (tmp_path / "ran").exists()


def test_high_pass_skip_without_face_alignment_weights_is_an_error(quick_cli, tmp_path, experiment):
    path = saved(tmp_path, experiment, "faces")
    torch.save({name: net for name, net in torch.load(path, weights_only=True).items() if name != "fan"}, path)
    process = quick_cli("evaluate", path, "--experiment", "tiny.yaml", "--variant", "faces")
    assert_refused(process, "needs the weights of the face-alignment network", "model.fan_weights", "SG2BENCH_WEIGHTS")
    assert_refused(quick_cli("ablate", "tiny.yaml"), "needs the weights of the face-alignment network")
    assert not (tmp_path / "runs").exists()


def test_training_begins_with_published_networks(quick_cli, tmp_path, experiment):
    ema = saved(tmp_path, experiment)
    where = ("run", "tiny.yaml", "--variant", "full", "--seed", 0, "--set", "train.learning_rate=1.0e-9")
    process = quick_cli(*where, "--set", f"train.start_from={ema}")
    assert_refused(process, "holds no `discriminator`", "an EMA file holds no discriminator")
    discriminator = build_discriminator(experiment.model, 3).state_dict()
    state = torch.load(ema, weights_only=True) | {"discriminator": discriminator}
    torch.save(state, tmp_path / "100000_nets.ckpt", _use_new_zipfile_serialization=False)
    process = quick_cli(*where, "--set", "train.start_from=100000_nets.ckpt", "--runs", "new")
    assert process.returncode == 0, process.stderr
    trained = torch.load(tmp_path / "new/tiny/full/seed-0/000002_nets_ema.ckpt", weights_only=True)
    for name, net in trained.items():
        for key, value in net.items():
            torch.testing.assert_close(value, state[name][key], atol=1e-6, rtol=1e-4)
    missing = "--set", "train.start_from=none.ckpt"
    for command in (where, ("ablate", "tiny.yaml")):
        assert_refused(quick_cli(*command, *missing, "--runs", "none"), "train.start_from: none.ckpt: No such file")


def test_translate_by_latents_and_by_references(quick_cli, tmp_path, experiment):
    path = saved(tmp_path, experiment)
    assert quick_cli("data", "draw", "--out", "critters", "--experiment", "tiny.yaml").returncode == 0
    process = quick_cli(
        *("translate", path, "--sources", "critters/val", "--latent-seeds", 2, "--psi", 0.7),
        *("--domains", "bunny,cat,dog"),
    )
    assert process.returncode == 0, process.stderr
    assert "domains bunny, cat, dog; 72 images" in process.stdout
    assert len(list((tmp_path / "translated/images/cat2dog").glob("*.png"))) == 8
    with Image.open(tmp_path / "translated/interpolation.webp") as animation:
        assert animation.n_frames == 3 * 2 * 8
    process = quick_cli(
        *("translate", path, "--sources", "critters/val/cat", "--references", "critters/train", "--frames", 0),
        *("--out", "by-reference", "--experiment", "tiny.yaml"),
    )
    assert process.returncode == 0, process.stderr
    assert "72 images" in process.stdout
    assert {file.name for file in (tmp_path / "by-reference/grids").iterdir()} == {"bunny.png", "cat.png", "dog.png"}


def test_translate_refuses(quick_cli, tmp_path, experiment):
    path = saved(tmp_path, experiment)
    (tmp_path / "in").mkdir()
    Image.new("RGB", (32, 32)).save(tmp_path / "in/a.png")
    wanted = ("translate", path, "--sources", "in")
    assert_refused(quick_cli(*wanted), "give either --references DIR or --latent-seeds N")
    assert_refused(quick_cli(*wanted, "--references", "in", "--psi", 0.5), "--psi is for latents")
    assert_refused(quick_cli(*wanted, "--references", "in"), "needs the names of the domains", "--domains cat,dog")
    named = ("--domains", "bunny,cat,dog")
    assert_refused(quick_cli(*wanted, "--references", "in", *named), "named by domain (bunny, cat, dog)", "found `.`")
    assert_refused(quick_cli(*wanted, "--latent-seeds", 1, "--variant", "full"), "--variant needs --experiment")
    assert_refused(quick_cli(*wanted, "--latent-seeds", 1, "--domains", "a,b"), "the model's 3 domains")
    assert_refused(quick_cli(*wanted, "--latent-seeds", 1, "--out", "in"), "in: already exists")
    assert_refused(quick_cli("translate", path, "--sources", "none", "--latent-seeds", 1), "none: no such folder")
    torch.save({"generator": {}}, tmp_path / "odd.ckpt")
    assert_refused(quick_cli("translate", "odd.ckpt", "--sources", "in", "--latent-seeds", 1), "give --experiment")
    assert not (tmp_path / "translated").exists()
