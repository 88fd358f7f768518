from __future__ import annotations

import inspect
import re
from pathlib import Path

import pandas as pd
import pytest

import sg2bench
from sg2bench import cli, devices, gate
from sg2bench.catalog import default_metrics
from sg2bench.config import Data, Experiment
from sg2bench.data import critters

DOCS = Path(__file__).parent.parent / "docs/python.md"


def test_the_examples_of_the_docs(tmp_path, monkeypatch):
    """One after the other, in one session, as in a notebook."""
    critters.export(Data(train_per_domain=8, val_per_domain=10, domains=("cat", "dog")), 32, tmp_path / "my-images")
    monkeypatch.chdir(tmp_path)
    session: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.S):
        exec(block, session)
    assert set(session["overall"]["metric"]) == set(default_metrics("offline"))
    assert set(session["summary"].columns) >= {"variant", "metric", "mode", "mean", "sd", "n"}
    assert (tmp_path / "another-report/report.html").is_file()
    assert all(map(Path.is_file, map(Path, session["images"]["file"])))
    assert len(session["images"]) == 10 * 2 * 3
    assert gate.verdict(session["compared"]) == "pass"


@pytest.mark.parametrize("job", ["ablate", "evaluate", "plan", "score", "translate"])
def test_a_function_has_the_arguments_of_its_command(job):
    """But for where the command writes its rows; `--set` is `settings`."""
    command = inspect.signature(getattr(getattr(cli, job), job)).parameters
    function = inspect.signature(getattr(sg2bench, job)).parameters
    named = {"set_": "settings"}
    missing = (
        {named.get(name, name) for name in command}
        - set(function)
        - ({"out"} if job in ("evaluate", "score") else set())
    )
    assert not missing


def test_what_the_package_offers():
    assert set(dir(sg2bench)) >= {"ablate", "evaluate", "score", "translate", "write_report", "check"}
    with pytest.raises(AttributeError, match="has no `sore`"):
        sg2bench.sore  # noqa: B018


def test_a_score_of_files_has_the_same_config_hash_for_every_seed(tmp_path):
    """So that the seeds of a user's model are seeds of one entry; another variant is another entry."""
    critters.export(Data(train_per_domain=4, val_per_domain=4, domains=("cat", "dog")), 32, tmp_path / "real")
    (tmp_path / "real/factors.csv").unlink()
    (tmp_path / "fake").mkdir()
    (tmp_path / "real/val/cat").rename(tmp_path / "fake/cat2dog")
    (tmp_path / "real/val/dog").rename(tmp_path / "fake/dog2cat")
    for folder in ("train/cat", "train/dog"):
        (tmp_path / "real" / folder).rename(tmp_path / "real" / Path(folder).name)
    for folder in (tmp_path / "fake").iterdir():
        for file in folder.iterdir():
            file.rename(folder / f"{file.stem}_1.png")
    for empty in ("train", "val"):
        (tmp_path / "real" / empty).rmdir()
    settings = {"evaluate.resize": 64}
    rows = [
        sg2bench.score(tmp_path / "real", tmp_path / "fake", variant=variant, seed=seed, settings=settings)
        for variant, seed in (("mine", 0), ("mine", 1), ("other", 0))
    ]
    first, second, other = (set(each["config_hash"]) for each in rows)
    assert first == second != other
    assert isinstance(rows[0], pd.DataFrame)


def test_the_home_folder_is_known_in_every_path(tmp_path, monkeypatch):
    """As `~`, which Python leaves alone; also in an experiment's keys."""
    monkeypatch.setenv("HOME", str(tmp_path))
    asked = [
        lambda: sg2bench.ablate("~/e.yaml"),
        lambda: sg2bench.evaluate("~/c.ckpt", "~/e.yaml"),
        lambda: sg2bench.evaluate("~/c.ckpt", "smoke"),
        lambda: sg2bench.score("~/real", "~/fake"),
        lambda: sg2bench.translate("~/c.ckpt", "~/s", latent_seeds=1),
        lambda: sg2bench.translate("~/c.ckpt", "~/s", latent_seeds=1, experiment="~/e.yaml"),
        lambda: sg2bench.write_report("~/r.csv"),
        lambda: sg2bench.check("~/r.csv", "~/b.csv"),
        lambda: sg2bench.check("~/r.csv", "~/b.csv", exact=0),
    ]
    for ask in asked:
        with pytest.raises(ValueError, match=f"{tmp_path}/"):
            ask()
    named = {
        "train": {"start_from": "~/a"},
        "model": {"fan_weights": "~/b"},
        "data": {"source": "folder", "root": "~/c"},
    }
    known = Experiment(name="x", **named)
    assert [known.train.start_from, known.model.fan_weights, known.data.root] == [tmp_path / name for name in "abc"]


@pytest.mark.parametrize(
    "option", [{"latent_seeds": 0}, {"latent_seeds": 2, "frames": -2}, {"latent_seeds": 2, "psi": 3}]
)
def test_functions_have_the_ranges_of_their_commands(option):
    name = list(option)[-1].replace("_", "-")
    with pytest.raises(ValueError, match=f"--{name} -?[0-9]: expected "):
        sg2bench.translate("none.ckpt", "none", **option)


def test_no_more_workers_than_runs(tmp_path, monkeypatch):
    asked = []

    def slots(device, workers, gpus, cpus):
        asked.append(workers)
        raise ValueError("asked")

    monkeypatch.setattr(devices, "slots", slots)
    monkeypatch.chdir(tmp_path)
    for workers in (None, 3, 2_000_000_000):
        with pytest.raises(ValueError, match="asked"):
            sg2bench.ablate("smoke", workers=workers)
    assert asked == [None, 3, 4]
