from __future__ import annotations

import pytest

from sg2bench import experiments, rows
from sg2bench.runs import collect, plan
from tests.runs.test_plan import changed


def test_collect_keeps_the_metrics_and_modes_asked_for(tiny, tmp_path, performed):
    planned = plan.plan(tiny, tmp_path)
    no_lines = rows.read(performed / "rows.csv")[:0]
    asked = changed(tiny, evaluate={"metrics": ["lpips"], "modes": ["latent"]})
    table = collect.collect(asked, planned, no_lines, tmp_path / "out", "the command")
    assert (set(table["metric"]), set(table["mode"])) == ({"lpips"}, {"latent"})
    assert len(rows.read(tmp_path / "out/results.csv")) == len(table)
    assert (tmp_path / "out/experiment.yaml").read_text().startswith("# Made by: the command\nname: tiny\n")
    assert experiments.load(tmp_path / "out/experiment.yaml") == asked
    assert {path.name for path in (tmp_path / "out/grids").iterdir()} == {"full-latent.png"}


@pytest.mark.parametrize("log", ["", "step,d_latent/\n2,1.0\n", "step,d_latent/real\n2,x\n", "\ufeff\x00"])
def test_a_damaged_training_log_is_named_and_left_out(tiny, tmp_path, performed, log):
    (performed / "train.csv").write_text(log)
    no_lines = rows.read(performed / "rows.csv")[:0]
    with pytest.warns(UserWarning, match=f"the curves of this run are left out: {performed / 'train.csv'}: "):
        table = collect.collect(tiny, plan.plan(tiny, tmp_path), no_lines, tmp_path / "out", "the command")
    assert len(rows.read(tmp_path / "out/results.csv")) == len(table)
    assert not (tmp_path / "out/curves.csv").exists()
