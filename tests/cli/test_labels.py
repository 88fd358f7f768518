"""Rows of `evaluate` say which run a checkpoint is of, and are refused where the command says something else."""

from __future__ import annotations

import shutil

import pytest

from sg2bench import rows as row_table
from sg2bench.config import Data
from sg2bench.data import critters
from tests.cli.test_checkpoints import EXPERIMENT
from tests.cli.test_cli import assert_refused

FEW = ("--set", "evaluate.sources=2", "--set", "evaluate.metrics=[lpips]", "--set", "evaluate.modes=[latent]")


@pytest.fixture
def run(quick_cli, tmp_path):
    """The folder of a run, seed 1 of the second variant, and its rows."""
    (tmp_path / "tiny.yaml").write_text(EXPERIMENT.replace("faces: {model.w_hpf: 1}", "no_ds: {loss.ds: 0}"))
    shutil.copy(tmp_path / "tiny.yaml", tmp_path / "other.yaml")
    process = quick_cli("run", "tiny.yaml", "--variant", "no_ds", "--seed", 1, *FEW)
    assert process.returncode == 0, process.stderr
    folder = tmp_path / "runs/tiny/no_ds/seed-1"
    return folder, row_table.read(folder / "rows.csv")


def test_a_checkpoint_in_its_run_s_folder_is_of_that_run(quick_cli, tmp_path, run):
    folder, rows = run
    (tmp_path / "link.ckpt").symlink_to(folder / "000002_nets_ema.ckpt")
    (folder / "steps").mkdir()
    shutil.copy(folder / "000002_nets_ema.ckpt", folder / "steps/000001_nets_ema.ckpt")
    labels = ["experiment", "variant", "seed", "config_hash"]
    for place, given in (
        (folder / "000002_nets_ema.ckpt", ()),
        (folder / "000002_nets_ema.ckpt", ("--variant", "no_ds", "--seed", 1)),
        (folder / "steps/000001_nets_ema.ckpt", ()),
        (tmp_path / "link.ckpt", ()),
    ):
        process = quick_cli("evaluate", place, "--experiment", "tiny.yaml", *given, *FEW)
        assert process.returncode == 0, process.stderr
        found = row_table.read(tmp_path / "rows.csv")
        assert found[labels].equals(rows[labels])
        assert found["value"].tolist() == rows["value"].tolist()


def test_labels_that_contradict_the_run_are_refused(quick_cli, tmp_path, run):
    folder, _ = run
    command = ("evaluate", folder / "000002_nets_ema.ckpt", "--experiment")
    says = f"according to {folder}/config.yaml"
    assert_refused(
        quick_cli(*command, "tiny.yaml", "--variant", "full"), "--variant full: the checkpoint is of no_ds", says
    )
    assert_refused(quick_cli(*command, "tiny.yaml", "--seed", 0), "--seed 0: the checkpoint is of 1", says)
    assert_refused(quick_cli(*command, "other.yaml"), "--experiment other: the checkpoint is of tiny", says)
    lacking = ("tiny.yaml", "--set", "variants={full: {}}")
    assert_refused(quick_cli(*command, *lacking), "--experiment tiny: has no variant no_ds", says)
    current = (command[0], folder / "000002_nets.ckpt", command[2], "tiny.yaml")
    assert_refused(quick_cli(*current), "is measured by its averaged networks, such as 000002_nets_ema.ckpt")
    config = folder / "config.yaml"
    config.write_text(config.read_text().replace("# training hash: ", "# training hash: =1+"))
    assert_refused(quick_cli(*command, "tiny.yaml"), "config.yaml: not the configuration of a run")
    assert not (tmp_path / "rows.csv").exists()


def test_a_checkpoint_from_elsewhere_is_what_the_command_says(quick_cli, tmp_path, run):
    """Also next to a file that is called as a run's configuration; the file that training began with counts."""
    folder, rows = run
    (tmp_path / "elsewhere").mkdir()
    shutil.copy(folder / "000002_nets_ema.ckpt", tmp_path / "elsewhere")
    shutil.copy(folder / "000002_nets.ckpt", tmp_path)
    (tmp_path / "elsewhere/config.yaml").write_text("another: tool\n")
    command = ("evaluate", "elsewhere/000002_nets_ema.ckpt", "--experiment", "tiny.yaml", "--variant", "no_ds", *FEW)
    hashes = []
    for more in ((), ("--set", "train.start_from=000002_nets.ckpt")):
        process = quick_cli(*command, *more)
        assert process.returncode == 0, process.stderr
        found = row_table.read(tmp_path / "rows.csv")
        assert (set(found["variant"]), set(found["seed"])) == ({"no_ds"}, {0})
        hashes += set(found["config_hash"])
    assert hashes[0] == rows["config_hash"][0] != hashes[1]


def test_a_checkpoint_next_to_another_program_s_configuration_is_translated_by_its_shapes(quick_cli, tmp_path, run):
    folder, _ = run
    (tmp_path / "elsewhere").mkdir()
    shutil.copy(folder / "000002_nets_ema.ckpt", tmp_path / "elsewhere")
    (tmp_path / "elsewhere/config.yaml").write_text("another: tool\n")
    critters.export(Data(train_per_domain=2, val_per_domain=2), 32, tmp_path / "real")
    command = ("--sources", "real/val/cat", "--latent-seeds", 1, "--frames", 0, "--out", "translated")
    process = quick_cli("translate", "elsewhere/000002_nets_ema.ckpt", *command)
    assert process.returncode == 0, process.stderr
    assert list((tmp_path / "translated").rglob("*.png"))
