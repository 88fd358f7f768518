"""What a study will cost."""

from __future__ import annotations

import json
import math

import pytest
import torch
import yaml

import sg2bench
from sg2bench.bench import cost, counted, forecast
from sg2bench.config import Experiment, Resources
from sg2bench.runs import job, plan, times
from sg2bench.runs.perform import perform


@pytest.fixture
def study(tiny, tmp_path, monkeypatch):
    """Seven variants that cost the same, five seeds; the file of it."""
    monkeypatch.chdir(tmp_path)
    known = tiny.model_dump(mode="json")
    known |= {"variants": {f"v{n}": {"train.learning_rate": 1e-3 * n} for n in range(1, 8)}, "seeds": list(range(5))}
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(known))
    return tmp_path / "study.yaml"


def note(folder, steps, seconds, device="cpu (x)", evaluation=None):
    """As a run leaves it that took so long, and is going on if it was not evaluated."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "train.csv").write_text(f"step,ds_weight\n{steps},1\n")
    noted = {"device": device, "step": 0, "began": 1e9, "trained": 1e9 + seconds}
    if evaluation:
        noted |= {"evaluating": 2e9, "evaluated": 2e9 + evaluation}
    (folder / "times.json").write_text(json.dumps(noted))


def test_35_equal_runs_on_2_workers(study, monkeypatch):
    counts = []
    monkeypatch.setattr(
        counted, "training", lambda *_: counts.append(1) or counted.Cost(4_000_000_000, 100, 50, 0, 2**30)
    )
    table = sg2bench.plan(study, workers=2)
    one, whole = table.iloc[0], table.iloc[-1]
    assert counts == [1]
    assert table["variant"].tolist() == [*(f"v{n}" for n in range(1, 8)), "*"]
    assert one["seconds_per_step"] == pytest.approx(cost.step_seconds(4.0, cost.CPU))
    assert (whole["runs"], whole["done"], whole["steps"]) == (35, 0, 35 * 4)
    assert one["hours_per_run"] == pytest.approx((4 * one["seconds_per_step"] + one["evaluation_seconds"]) / 3600)
    assert whole["hours"] == pytest.approx(35 * one["hours_per_run"])
    assert whole["makespan_hours"] == pytest.approx(18 * one["hours_per_run"])
    assert whole["memory_gib"] == pytest.approx(1 + cost.CPU.process_gib, abs=1e-3)
    assert whole["storage_gib"] == pytest.approx(35 * cost.storage_bytes(100, 50, 0) / 2**30)
    assert set(table["basis"][:-1]) == {"model"}
    assert not (study.parent / "runs").exists()


def test_gpus_and_their_shares(study, monkeypatch):
    monkeypatch.setattr(counted, "training", lambda *_: counted.Cost(10**13, 100, 50, 0, 2**30))
    whole = sg2bench.plan(study, gpus=64, tflops=20)
    shared = sg2bench.plan(study, gpus=8, tflops=20, settings={"resources.gpus": 0.25})
    assert whole["seconds_per_step"][0] == pytest.approx(0.513)
    assert shared["seconds_per_step"][0] == pytest.approx(4 * 0.513)
    assert whole.iloc[-1]["makespan_hours"] == pytest.approx(whole["hours_per_run"][0])
    assert shared.iloc[-1]["makespan_hours"] == pytest.approx(2 * shared["hours_per_run"][0])  # 32 at the same time
    assert shared.iloc[-1]["hours"] == pytest.approx(35 / 4 * shared["hours_per_run"][0])
    assert whole.iloc[-1]["basis"] == "64 GPUs; a GPU of 20 TFLOP/s, assumed"


def test_measured_runs_come_before_the_model_and_scale_it(study, monkeypatch, tmp_path):
    monkeypatch.setattr(counted, "training", lambda *_: counted.Cost(4_000_000_000, 100, 50, 0, 2**30))
    model = sg2bench.plan(study, workers=2)
    for seed, seconds in ((0, 8.0), (1, 9.0), (2, 40.0)):  # the median is taken: one was interrupted
        note(tmp_path / f"runs/tiny/v3/seed-{seed}", 4, seconds, evaluation=7.0)
    note(tmp_path / "runs/tiny/v4/seed-0", 4, 1.0, device="NVIDIA H100")
    found = sg2bench.plan(study, workers=2).set_index("variant")
    assert found.loc["v3", "seconds_per_step"] == 9 / 4
    assert found.loc["v3", "evaluation_seconds"] == 7
    assert found.loc["v3", "basis"] == "measured"
    scale = 9 / 4 / model["seconds_per_step"][0]
    assert found.loc["v4", "seconds_per_step"] == pytest.approx(9 / 4)
    assert found.loc["v4", "basis"] == f"model × {scale:.2f}"
    of_gpus = sg2bench.plan(study, gpus=1).set_index("variant")
    assert of_gpus.loc["v4", "seconds_per_step"] == 1 / 4
    assert of_gpus.loc["v3", "basis"].startswith("model × ")


def test_a_run_that_was_performed_is_measured_done_and_as_large_as_planned(tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plain = tiny.model_dump(mode="json") | {"variants": {"full": {}}}
    plain["model"] |= {"first_width": 32, "max_width": 64}
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(plain))
    before = sg2bench.plan("tiny.yaml", workers=1)
    (status,) = plan.plan(Experiment.model_validate(plain), tmp_path / "runs")
    plan.write([status])
    perform(job.read(status.job.folder), torch.device("cpu"))
    after = sg2bench.plan("tiny.yaml", workers=1)
    files = [file for pattern in ("*.pt", "*.ckpt") for file in status.job.folder.glob(pattern)]
    assert before["storage_gib"][0] == pytest.approx(sum(file.stat().st_size for file in files) / 2**30, rel=0.1)
    assert (before["basis"][0], after["basis"][0]) == ("model", "measured")
    assert after["done"][0] == 1
    assert after["hours"][0] == 0
    assert after["makespan_hours"].iloc[-1] == 0
    assert after["evaluation_seconds"][0] == times.read(status.job.folder).evaluation_seconds > 0
    larger = sg2bench.plan("tiny.yaml", workers=1, settings={"evaluate.outputs_per_source": 9}).iloc[0]
    assert larger["seconds_per_step"] == after["seconds_per_step"][0]
    assert larger["evaluation_seconds"] != after["evaluation_seconds"][0]


def test_times_of_another_configuration_do_not_count(study, monkeypatch, tmp_path):
    """Such as of a run that was killed before its first checkpoint, and whose settings then changed."""
    monkeypatch.setattr(counted, "training", lambda *_: counted.Cost(4_000_000_000, 100, 50, 0, 2**30))
    folder = tmp_path / "runs/tiny/v1/seed-0"
    note(folder, 3, 6.0)
    (folder / "times.json").write_text(json.dumps({"device": "cpu", "step": 1, "began": 0.0, "lineage": "0" * 16}))
    assert sg2bench.plan(study, workers=1)["basis"].tolist()[0] == "model"


def test_a_running_run_has_the_rest_to_do(study, monkeypatch, tmp_path):
    monkeypatch.setattr(counted, "training", lambda *_: counted.Cost(4_000_000_000, 100, 50, 0, 2**30))
    folder = tmp_path / "runs/tiny/v1/seed-0"
    note(folder, 3, 6.0)
    (folder / "times.json").write_text(json.dumps({"device": "cpu", "step": 1, "began": 0.0}))
    row = sg2bench.plan(study, workers=1).iloc[0]
    assert row["seconds_per_step"] == pytest.approx((folder / "train.csv").stat().st_mtime / 2)
    seconds = 17 * row["seconds_per_step"] + 5 * row["evaluation_seconds"]  # 5 seeds of 4 steps, 3 of them done
    assert row["hours"] == pytest.approx(seconds / 3600)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"device": "cpu"}'])
def test_times_that_are_not_there_or_damaged_count_for_nothing(tmp_path, text):
    note(tmp_path, 4, 8.0)
    (tmp_path / "times.json").write_text(text)
    assert times.read(tmp_path) is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"gpus": 1, "workers": 1}, "either --gpus or --workers"),
        ({"gpus": 0}, "--gpus 0: expected 1 or more"),
        ({"workers": 0}, "--workers 0: expected 1 or more"),
        ({"workers": 1, "tflops": 5}, "--tflops needs --gpus"),
        ({"gpus": 1, "tflops": 0}, "--tflops 0: expected a number above 0"),
        ({"gpus": 1, "tflops": math.nan}, "--tflops nan: expected a number above 0"),
        ({"gpus": 1, "tflops": math.inf}, "--tflops inf: expected a number above 0"),
        ({"protocol": "mine"}, "--protocol mine: expected offline"),
    ],
)
def test_wrong_arguments(study, arguments, message):
    with pytest.raises(ValueError, match=message):
        sg2bench.plan(study, **arguments)


def test_this_machine_is_the_default(monkeypatch):
    monkeypatch.setattr(forecast.devices, "slots", lambda *_: ["cpu"] * 3)
    assert forecast.machines_of(None, None, None, Resources()).name == "3 CPU threads"
    monkeypatch.setattr(forecast.devices, "slots", lambda *_: ["cuda:0", "cuda:1"] * 2)
    machines = forecast.machines_of(None, None, None, Resources(gpus=0.5))
    assert (machines.name, machines.parallel_runs) == ("2 GPUs", 4)


def test_the_command_says_what_figures_rest_on(study, quick_cli):
    process = quick_cli("plan", study, "--workers", 2)
    assert process.returncode == 0, process.stderr
    assert "35 runs, 0 of them done; 140 steps in all." in process.stdout
    assert "Left on 2 CPU threads: " in process.stdout
    assert "Times: 0 of 7 variants measured on runs in --runs" in process.stdout
    assert "one thread of an Intel Xeon, measured" in process.stdout
    process = quick_cli("plan", study, "--gpus", 64)
    assert "Left on 64 GPUs: " in process.stdout
    assert "as measured on an NVIDIA H200 in float32" in process.stdout
