from __future__ import annotations

import sys

import pytest
import torch

from sg2bench import ablation, config
from sg2bench.ablation import Run
from sg2bench.config import Experiment

CPU = torch.device("cpu")


def python(script):
    """A stand-in for the command of a run; the run's name and the device are its arguments."""
    return lambda run: [sys.executable, "-c", script, run.name]


def runs(tmp_path, count=4):
    return [Run("full", seed, tmp_path / f"seed-{seed}", steps=3) for seed in range(count)]


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


def test_a_failed_run_takes_no_other_down(tmp_path):
    planned = runs(tmp_path)
    script = "import sys; print('hello'); sys.exit('seed-1' in sys.argv[1])"
    ablation.launch(planned, python(script), ["cpu", "cpu"], lambda: None)
    assert [run.state for run in planned] == ["done", "failed", "done", "done"]
    assert (planned[1].folder / "run.log").read_text() == "hello\n"


def test_runs_share_the_slots(tmp_path):
    """Two slots: never more than two at once, and each device serves."""
    planned = runs(tmp_path)
    most, devices = [], set()
    script = "import sys, time; time.sleep(0.5); open(sys.argv[1].split('/')[1] + '.txt', 'w').write(sys.argv[3])"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        ablation.launch(
            planned,
            python(script),
            ["cuda:0", "cuda:1"],
            lambda: most.append(sum(run.state == "running" for run in planned)),
        )
    devices = {path.read_text() for path in tmp_path.glob("*.txt")}
    assert max(most) == 2
    assert devices == {"cuda:0", "cuda:1"}


def test_finished_runs_are_not_performed(tmp_path):
    planned = runs(tmp_path, 2)
    planned[0].state = "skipped"
    ablation.launch(planned, python("pass"), ["cpu"], lambda: None)
    assert [run.state for run in planned] == ["skipped", "done"]
    assert not planned[0].folder.exists()


def test_step_is_read_from_whole_lines_of_the_log(tmp_path):
    assert ablation._last_step(tmp_path) == 0
    (tmp_path / "train.csv").write_text("step,x\n10,1.0\n20,1.0\n3")
    assert ablation._last_step(tmp_path) == 20


def test_slots():
    assert ablation.slots("cpu", 3) == ["cpu"] * 3
    assert len(ablation.slots("cpu", None)) >= 1
    if not torch.cuda.is_available():
        assert ablation.slots("auto", 2) == ["cpu", "cpu"]
        with pytest.raises(ValueError, match="torch sees no CUDA device; use --device cpu"):
            ablation.slots("cuda", None)
