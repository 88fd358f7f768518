from __future__ import annotations

import pytest
import torch

from sg2bench import ablation, config
from sg2bench.config import Experiment

CPU = torch.device("cpu")


def test_plan_has_every_variant_and_seed(tiny, tmp_path):
    experiment = Experiment.model_validate(tiny.model_dump() | {"seeds": (3, 4)})
    planned = ablation.plan(experiment, tmp_path)
    assert [run.name for run in planned] == ["full/seed-3", "full/seed-4", "no_ds/seed-3", "no_ds/seed-4"]
    assert {run.state for run in planned} == {"waiting"}


def test_a_run_is_performed_once_and_measured_anew_for_another_protocol(tiny, tmp_path):
    (run, _) = ablation.plan(tiny, tmp_path)
    ablation.perform(tiny, "full", 0, run.folder, CPU)
    assert {path.name for path in run.folder.iterdir()} == {
        *("config.yaml", "train.csv", "rows.csv", "samples", "000004_nets_ema.ckpt"),
    }
    assert [r.state for r in ablation.plan(tiny, tmp_path)] == ["skipped", "waiting"]
    plain = tiny.model_dump(mode="json")
    plain["evaluate"]["outputs_per_source"] = 3
    other = Experiment.model_validate(plain)
    assert ablation.plan(other, tmp_path)[0].state == "waiting"
    log = (run.folder / "train.csv").read_bytes()
    ablation.perform(other, "full", 0, run.folder, CPU)
    assert ablation.plan(other, tmp_path)[0].state == "skipped"
    assert (run.folder / "train.csv").read_bytes() == log


def test_a_folder_of_another_configuration_is_refused_with_what_changed(tiny, tmp_path):
    folder = tmp_path / "tiny/full/seed-0"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(config.dump(tiny.resolve("full")))
    plain = tiny.model_dump(mode="json")
    plain["train"]["steps"] = 9
    with pytest.raises(ValueError, match=r"made with another configuration \(train.steps 4 → 9\)"):
        ablation.plan(Experiment.model_validate(plain), tmp_path)
