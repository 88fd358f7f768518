from __future__ import annotations

import pytest
import torch
from filelock import FileLock

from sg2bench import ablation, config, results
from sg2bench.config import Experiment
from sg2bench.data import images

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
        *("config.yaml", "train.csv", "rows.csv", "samples", "000004_nets_ema.ckpt", "000004_nets.ckpt", ".lock"),
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
    fingerprint = images.load(tiny.data, 32).fingerprint
    (folder / "config.yaml").write_text(f"# data fingerprint: {fingerprint}\n{config.dump(tiny.resolve('full'))}")
    ablation.plan(tiny, tmp_path)
    plain = tiny.model_dump(mode="json")
    plain["train"]["steps"] = 9
    with pytest.raises(ValueError, match=r"made with another configuration \(train.steps 4 → 9\)"):
        ablation.plan(Experiment.model_validate(plain), tmp_path)


def test_other_images_are_another_run(tiny, tmp_path):
    images.export_critters(tiny.data, 32, tmp_path / "set")
    plain = tiny.model_dump(mode="json") | {"data": {"source": "folder", "root": str(tmp_path / "set")}}
    experiment = Experiment.model_validate(plain)
    (run, _) = ablation.plan(experiment, tmp_path / "runs")
    ablation.perform(experiment, "full", 0, run.folder, CPU)
    assert ablation.plan(experiment, tmp_path / "runs")[0].state == "skipped"
    (tmp_path / "set").rename(tmp_path / "moved")
    plain["data"]["root"] = str(tmp_path / "moved")
    moved = Experiment.model_validate(plain)
    assert ablation.plan(moved, tmp_path / "runs")[0].state == "skipped"
    (tmp_path / "moved/train/cat/00000.png").unlink()
    with pytest.raises(ValueError, match=r"made with another configuration \(images \w+ → \w+\)"):
        ablation.plan(moved, tmp_path / "runs")


def test_two_processes_do_not_work_in_one_folder(tiny, tmp_path):
    with FileLock(tmp_path / ".lock"), pytest.raises(ValueError, match="another process is at work there"):
        ablation.perform(tiny, "full", 0, tmp_path, CPU)
    assert not (tmp_path / "train.csv").exists()


def test_collect_keeps_the_metrics_and_modes_asked_for(tiny, tmp_path):
    planned = ablation.plan(tiny, tmp_path)[:1]
    ablation.perform(tiny, "full", 0, planned[0].folder, CPU)
    planned[0].state = "done"
    plain = tiny.model_dump(mode="json")
    plain["evaluate"] |= {"metrics": ["lpips"], "modes": ["latent"]}
    no_lines = results.read(planned[0].folder / "rows.csv")[:0]
    asked = Experiment.model_validate(plain)
    table = results.read(ablation.collect(asked, planned, no_lines, tmp_path, "the command"))
    assert (set(table["metric"]), set(table["mode"])) == ({"lpips"}, {"latent"})
    assert (tmp_path / "experiment.yaml").read_text().startswith("# Made by: the command\nname: tiny\n")
