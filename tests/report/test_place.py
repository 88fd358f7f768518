"""A report touches no file in its folder but an earlier report's; of that one nothing is left."""

from __future__ import annotations

import os

import pytest

from sg2bench import api
from sg2bench import rows as row_table
from sg2bench.layout import REPORT_FILES
from sg2bench.report import leaderboard, whole, write
from tests.cli.test_cli import SMOKE, assert_refused
from tests.report.test_whole import contents

PLOT = "fd_alexnet-by-pair.png"


def files(folder):
    return {path.as_posix() for path in contents(folder)}


@pytest.mark.parametrize(
    "name",
    ["report.html", "leaderboard.md", "summary.csv", "results.csv", "experiment.yaml", "grids/full-latent.png", PLOT],
)
def test_a_file_of_somebody_else_s_is_never_replaced(folder, quick_cli, name):
    """Whatever else lies there: also a page called as ours, and grids."""
    for mine in ("report.html", "grids/holiday.png", name):
        (folder / "own" / mine).parent.mkdir(parents=True, exist_ok=True)
        (folder / "own" / mine).write_text(f"my {mine}")
    if name != "report.html":
        (folder / "own/report.html").unlink()
    before = contents(folder / "own")
    assert_refused(quick_cli("report", "in/results.csv", "--out", "own"), f"own/{name}: would be overwritten")
    assert contents(folder / "own") == before


@pytest.mark.parametrize("name", ["report.html", "summary.csv", "leaderboard.md"])
def test_neither_is_one_next_to_the_rows(folder, name):
    (folder / "in" / name).write_text("mine")
    before = contents(folder / "in")
    with pytest.raises(ValueError, match=f"in/{name}: would be overwritten"):
        write.write(folder / "in/results.csv", folder / "in", "x")
    assert contents(folder / "in") == before


def test_a_report_takes_the_place_of_an_earlier_one_and_of_nothing_else(folder, rows, without_plots):
    """Listed, so that also a plot that no version can name any longer goes."""
    write.write(folder / "in/results.csv", folder / "out", "x")
    for place in ("old-plot.png", "grids/gone-latent.png", "holiday.png", "grids/holiday.png"):
        (folder / "out" / place).write_text(place)
    with (folder / "out" / REPORT_FILES).open("a") as listed:
        listed.write("old-plot.png\ngrids/gone-latent.png\n../in/results.csv\n..\n/etc/passwd\n")
    row_table.write(rows[rows["variant"] != "no_ds"], folder / "in/results.csv")
    write.write(folder / "in/results.csv", folder / "out", "x")
    assert {"holiday.png", "grids/holiday.png"} < files(folder / "out")
    assert files(folder / "out").isdisjoint({"old-plot.png", "grids/gone-latent.png"})
    listed = (folder / "out" / REPORT_FILES).read_text().split()
    assert set(listed) == files(folder / "out") - {"holiday.png", "grids/holiday.png", REPORT_FILES}


def test_plots_of_metrics_that_are_gone_go_and_in_place_what_the_report_is_made_from_stays(folder, rows):
    write.write(folder / "in/results.csv", folder / "out", "x")
    assert (folder / "out" / PLOT).is_file()
    fewer = rows[rows["metric"] != "fd_alexnet"]
    row_table.write(fewer, folder / "out/results.csv")
    for _ in range(2):
        write.write(folder / "out/results.csv", folder / "out", "x")
        assert not (folder / "out" / PLOT).exists()
        assert {"results.csv", "curves.csv", "experiment.yaml", "grids/full-latent.png"} < files(folder / "out")
    write.write(folder / "in/results.csv", folder / "out", "x")
    assert (folder / "out" / PLOT).is_file()


def test_a_report_without_a_list_is_known_by_its_page(folder, without_plots):
    write.write(folder / "in/results.csv", folder / "out", "x")
    (folder / "out" / REPORT_FILES).unlink()
    (folder / "out/grids/holiday.png").write_text("mine")
    (folder / "out" / PLOT).write_text("of an earlier version")
    write.write(folder / "in/results.csv", folder / "out", "x")
    assert (folder / "out/grids/holiday.png").read_text() == "mine"
    assert not (folder / "out" / PLOT).exists()
    (folder / "out" / REPORT_FILES).unlink()
    (folder / "out/experiment.yaml").write_text("name: mine\n")
    with pytest.raises(ValueError, match="out/experiment.yaml: would be overwritten"):
        write.write(folder / "in/results.csv", folder / "out", "x")


def test_a_report_that_was_killed_while_it_moved_gives_way_to_the_next(folder, without_plots, monkeypatch):
    moved = []

    def move(file, place, before=whole._move):
        if len(moved) == 4:
            raise KeyboardInterrupt
        moved.append(place)
        before(file, place)

    with monkeypatch.context() as patch:
        patch.setattr(whole, "_move", move)
        with pytest.raises(KeyboardInterrupt):
            write.write(folder / "in/results.csv", folder / "out", "x")
    assert not (folder / "out/report.html").exists()
    write.write(folder / "in/results.csv", folder / "out", "x")
    assert (folder / "out/report.html").is_file()


def test_what_a_killed_report_left_is_swept_and_nothing_else(folder, without_plots):
    (folder / "out").mkdir()
    left, others = [".tmp-report-abcd_123"], [".tmp-abcd_123", ".tmp-report-of-mine", "tmp-report-abcd_123"]
    for name in (*left, *others):
        (folder / "out" / name).mkdir()
        (folder / "out" / name / "x").touch()
    os.utime(folder / "out" / left[0], (1, 1))
    write.write(folder / "in/results.csv", folder / "out", "x")
    assert {path.name for path in (folder / "out").iterdir() if "tmp-" in path.name} == set(others)


@pytest.mark.parametrize("name", ["experiment.yaml", "results.csv", "report.html"])
def test_ablate_refuses_a_folder_with_files_of_one_s_own_before_it_trains(quick_cli, tmp_path, name):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / name).write_text("mine")
    assert_refused(quick_cli("ablate", SMOKE, "--out", "own"), f"own/{name}: would be overwritten")
    assert [path.name for path in tmp_path.iterdir()] == ["own"]


@pytest.mark.parametrize("head", ["", "# Made by: x\n"])
def test_ablate_never_overwrites_its_experiment(quick_cli, tmp_path, head):
    text = head + SMOKE.read_text()
    (tmp_path / "experiment.yaml").write_text(text)
    (tmp_path / REPORT_FILES).write_text("experiment.yaml\n")
    for out in (".", tmp_path):
        assert_refused(quick_cli("ablate", "experiment.yaml", "--out", out), "would overwrite the experiment")
    assert (tmp_path / "experiment.yaml").read_text() == text


def test_a_leaderboard_replaces_no_file_but_an_earlier_leaderboard(folder):
    write.write(folder / "in/results.csv", folder / "in", "x")
    report = contents(folder / "in")
    with pytest.raises(ValueError, match="in/leaderboard.md: would be overwritten"):
        leaderboard.add([folder / "in/results.csv"], folder / "in", None)
    assert contents(folder / "in") == report


def test_an_ablation_whose_report_is_refused_leaves_the_earlier_one(tiny, tmp_path, monkeypatch):
    """No new rows under an old page; they are where the runs are, and the message says so."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(SMOKE.read_text())
    settings = {"train.steps": 2, "seeds": [0], "evaluate.metrics": ["lpips"], "variants": {"full": {}}}
    api.ablate("tiny.yaml", settings=settings, out="out")
    before = contents(tmp_path / "out")

    def refuse(results, out, command):
        assert results.is_file()
        raise ValueError(f"{results}: refused")

    with monkeypatch.context() as patch:
        patch.setattr(write, "write", refuse)
        with pytest.raises(ValueError, match="^runs/smoke/results.csv: refused$"):
            api.ablate("tiny.yaml", settings=settings | {"seeds": [0, 1]}, out="out")
    assert contents(tmp_path / "out") == before
    assert [path.name for path in (tmp_path / "runs/smoke").iterdir() if path.name.startswith(".tmp")] == []
    assert set(api.ablate("tiny.yaml", settings=settings | {"seeds": [0, 1]}, out="out")["seed"]) == {0, 1}
