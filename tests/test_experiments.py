from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sg2bench import experiments
from tests.cli.test_cli import assert_refused

ROOT = Path(__file__).parent.parent


def test_every_experiment_ships_by_name():
    known = experiments.shipped()
    assert {"critters", "emoji", "smoke", "paper_ladder", "afhq", "celeba_hq"} <= set(known)
    for name, path in known.items():
        assert experiments.load(name) == experiments.load(path)
        assert experiments.load(name).description


def test_a_file_goes_before_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("critters").write_text("name: mine\n")
    assert experiments.load("critters").name == "mine"


def test_a_folder_hides_no_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("critters", "mine"):
        Path(name).mkdir()
    assert experiments.load("critters") == experiments.load(experiments.shipped()["critters"])
    for place in ("mine", "./critters", tmp_path):
        with pytest.raises(ValueError, match="is a folder; name an experiment's YAML file"):
            experiments.load(place)


def test_settings_go_over_the_file():
    assert experiments.load("smoke", {"train.steps": 7, "loss": {"ds": 0}}).train.steps == 7
    assert experiments.load(None, {"model.image_size": 32}).model.image_size == 32
    with pytest.raises(ValueError, match="--set train.steps: expected key=value"):
        experiments.parse_settings(["train.steps"])
    assert experiments.parse_settings(["train.steps=7", "variants={full: {}}"]) == {
        "train.steps": 7,
        "variants": {"full": {}},
    }


def test_list_and_copy(quick_cli, tmp_path):
    listed = quick_cli("experiments")
    assert listed.returncode == 0
    assert [line.split()[0] for line in listed.stdout.splitlines()] == list(experiments.shipped())
    assert quick_cli("experiments", "--copy", "smoke", "--out", "mine.yaml").returncode == 0
    assert (tmp_path / "mine.yaml").read_bytes() == experiments.shipped()["smoke"].read_bytes()
    assert_refused(quick_cli("experiments", "--copy", "smoke", "--out", "mine.yaml"), "mine.yaml: already exists")
    assert_refused(quick_cli("experiments", "--copy", "smok"), "--copy smok: no such experiment (known: afhq")
    assert_refused(quick_cli("experiments", "--out", "x.yaml"), "--out needs --copy NAME")


def test_the_wheel_performs_smoke_by_name_elsewhere(tmp_path):
    """Installed from the wheel, away from the repository."""
    wheels, site, work = (tmp_path / name for name in ("wheels", "site", "work"))
    work.mkdir()

    def python(*arguments, cwd, **environment):
        return subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=cwd,
            check=True,
            capture_output=True,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
        )

    python("-m", "hatchling", "build", "-t", "wheel", "-d", wheels, cwd=ROOT)
    (wheel,) = wheels.glob("*.whl")
    python("-m", "pip", "install", "--no-deps", "--no-index", "--target", site, wheel, cwd=work)
    assert (site / "sg2bench/py.typed").is_file()
    settings = ["--set", "train.steps=2", "--set", "seeds=[0]", "--set", "variants={full: {}}"]
    program = "import sg2bench.cli; print(sg2bench.cli.__file__); sg2bench.cli.main()"
    process = python("-c", program, "ablate", "smoke", *settings, cwd=work, PYTHONPATH=str(site))
    assert process.stdout.startswith(str(site))
    assert (work / "reports/smoke/report.html").is_file()


@pytest.mark.parametrize("setting", ["=a\nb", "a\nb", "a.b=[1\n"])
def test_a_bad_setting_is_refused_in_one_line(setting):
    with pytest.raises(ValueError, match=r"^--set ") as refused:
        experiments.parse_settings([setting])
    assert "\n" not in str(refused.value)
