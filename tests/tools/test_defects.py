from __future__ import annotations

import pytest

from sg2bench import gate
from sg2bench.layout import ROWS, run_folder
from tools.defects import DEFECTS, ROOT


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_each_defect_can_still_be_planted(defect, tmp_path):
    defect.plant(tmp_path)
    planted = (tmp_path / "sg2bench" / defect.file).read_text()
    compile(planted, defect.file, "exec")
    assert defect.new in planted


def test_a_planted_defect_is_caught(cli, tmp_path):
    """As `nox -s defects` does it, on an untrained network, with the defect that shows in the evaluation alone."""
    DEFECTS[-1].plant(tmp_path / "planted")
    small = ("--set", "train.steps=1", "--set", "data.domains=[cat,dog]", "--variant", "full", "--seed", 0)
    rows = []
    for name, package in (("sound", None), ("defect", tmp_path / "planted")):
        environment = {"PYTHONPATH": str(package)} if package else {}
        process = cli("run", ROOT / "experiments/smoke.yaml", *small, "--runs", name, "--device", "cpu", **environment)
        assert process.returncode == 0, process.stderr
        rows.append(run_folder(tmp_path / name, "smoke", "full", 0) / ROWS)
    compared = gate.compare_exactly(rows[1], rows[0], 0.05)
    assert set(compared[compared["verdict"] == gate.REGRESSION]["metric"]) == {"fd_alexnet"}
