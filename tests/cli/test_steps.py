"""Quality over training, end to end."""

from __future__ import annotations

from sg2bench import rows
from tests.cli.test_cli import SMOKE, assert_refused

ONE_RUN = ("--set", "train.steps=4", "--set", "seeds=[0]", "--set", "variants={full: {}}", "--workers", 1)
METRICS = ("--set", "evaluate.metrics=[fd_alexnet, lpips]")


def test_several_steps_from_the_command_to_the_page(quick_cli, tmp_path):
    command = ("ablate", SMOKE, *ONE_RUN, *METRICS)
    process = quick_cli(*command, "--set", "train.evaluate_every=2", "--set", "train.best_by=lpips")
    assert process.returncode == 0, process.stderr
    table = rows.read(tmp_path / "reports/smoke/results.csv", need_pairs=True)
    assert set(rows.of_half(table, "even")["step"]) == {2, 4}
    assert set(rows.of_half(table, "odd")["step"]) == {rows.best_step(table, "lpips"), 4}
    assert set(rows.models(rows.last_steps(table))["step"]) == {4}
    page = (tmp_path / "reports/smoke/report.html").read_text()
    assert "chosen by lpips on the even sources" in page
    assert page.count("<h3>Values over training</h3>") == 1

    assert_refused(
        quick_cli(*command, "--set", "train.evaluate_at=[3]"),
        "runs/smoke/full/seed-0: the networks of step 3 were not kept, and training is at step 4",
    )
    assert_refused(quick_cli(*command, "--set", "train.evaluate_at=[9]"), "step 9 is beyond the last")
