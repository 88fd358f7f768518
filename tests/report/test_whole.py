"""A report and a leaderboard are written whole or not at all, also on a full disk and by several at once."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from sg2bench import gate
from sg2bench import rows as row_table
from sg2bench.files import locked
from sg2bench.report import leaderboard, panels, plots, write
from tests.cli.test_cli import assert_refused
from tests.tables import table

ON_A_FULL_DISK = """
import resource, sys
from sg2bench.cli import main

limit, (_, most) = int(sys.argv.pop(1)), resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, most))
try:
    main()
finally:
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))  # coverage writes at the end
"""
AT_ONCE = """
import sys
from pathlib import Path
from sg2bench import gate
from sg2bench.report import leaderboard

sys.stdin.readline()
for name in sys.argv[1:]:
    leaderboard.add([Path(f"{name}.csv")], Path("board"), name)
    gate.update_baseline(Path(f"{name}.csv"), Path("baseline.csv"), f"because of {name}", name)
"""


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def earlier(folder, rows):
    """A report of an experiment, and other rows in `in`, that would take its place."""
    write.write(folder / "in/results.csv", folder / "out", "x")
    row_table.write(rows[rows["variant"] != "no_ds"], folder / "in/results.csv")
    return contents(folder / "out")


def test_a_full_disk_leaves_the_earlier_report(folder, earlier):
    for limit in (100, 5_000, 30_000):
        process = subprocess.run(
            [sys.executable, "-c", ON_A_FULL_DISK, str(limit), "report", "in/results.csv", "--out", "out"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert_refused(process, "File too large", "out/")
        assert ".tmp-" not in process.stderr
        assert process.stderr.count("\n") == 1
        assert contents(folder / "out") == earlier


@pytest.mark.parametrize("place", ["out", "in"])
def test_a_report_that_fails_halfway_leaves_the_earlier_one(folder, earlier, monkeypatch, place):
    def fail(*_):
        raise MemoryError

    monkeypatch.setattr(plots, "curves_plot", fail)
    before = contents(folder / place)
    with pytest.raises(MemoryError):
        write.write(folder / "in/results.csv", folder / place, "x")
    assert contents(folder / place) == before
    hidden = [".report-files"] if place == "out" else []
    assert sorted(path.name for path in (folder / place).iterdir() if path.name.startswith(".")) == hidden


def test_nothing_of_an_earlier_report_is_left(folder, earlier):
    """Neither its command nor its grids are those of the rows that take its place."""
    shutil.rmtree(folder / "in/grids")
    (folder / "in/experiment.yaml").unlink()
    (folder / "in/curves.csv").unlink()
    (folder / "out/own.txt").write_text("kept")
    page = write.write(folder / "in/results.csv", folder / "out", "the new command")
    left = {path.as_posix() for path in contents(folder / "out")}
    assert "own.txt" in left
    assert left.isdisjoint({"grids/full-latent.png", "experiment.yaml", "curves.csv"})
    assert "sg2bench ablate x" not in page.read_text()
    with pytest.raises(ValueError, match="give the command with --command"):
        leaderboard.add([folder / "out/results.csv"], folder / "board", None)


def test_a_folder_that_is_no_report_keeps_its_files(folder):
    (folder / "out/grids").mkdir(parents=True)
    for name in ("curves.csv", "grids/mine.png"):
        (folder / "out" / name).write_text("mine")
    (folder / "in/curves.csv").unlink()
    write.write(folder / "in/results.csv", folder / "out", "x")
    assert (folder / "out/curves.csv").read_text() == (folder / "out/grids/mine.png").read_text() == "mine"


@pytest.mark.parametrize("line", ["", ".", "..", "/", "../own.txt", "grids/..", "grids/../own.txt"])
def test_a_list_that_names_no_file_of_a_report_removes_nothing_else(folder, earlier, line):
    (folder / "own.txt").write_text("kept")
    with (folder / "out/.report-files").open("a") as file:
        file.write(f"{line}\n")
    write.write(folder / "in/results.csv", folder / "out", "x")
    assert (folder / "own.txt").read_text() == "kept"
    assert "" not in (folder / "out/.report-files").read_text().splitlines()


def test_a_place_that_cannot_be_written_is_refused_before_anything_is_drawn(folder, quick_cli, monkeypatch):
    monkeypatch.setattr(panels, "variants_plot", lambda *_: pytest.fail("drawn"))
    (folder / "file").touch()
    for place in (folder / "file", folder / "file/x", Path("/proc/sg2bench")):
        assert_refused(quick_cli("report", folder / "in/results.csv", "--out", place), f"sg2bench: {place}: ")


def test_links_of_one_s_own_are_kept_and_those_of_a_folder_that_came_so_are_refused(folder):
    (folder / "web").mkdir()
    (folder / "out").mkdir()
    (folder / "out/report.html").symlink_to(folder / "web/index.html")
    write.write(folder / "in/results.csv", folder / "out", "x")
    assert (folder / "out/report.html").is_symlink()
    assert "<h1>" in (folder / "web/index.html").read_text()
    (folder / "precious").write_text("precious")
    (folder / "in/report.html").symlink_to(folder / "precious")
    before = contents(folder / "in")
    with pytest.raises(ValueError, match="in/report.html: is a link that leads out of"):
        write.write(folder / "in/results.csv", folder / "in", "x")
    assert contents(folder / "in") == before
    assert (folder / "precious").read_text() == "precious"


def test_several_at_once_lose_no_rows(tiny, tmp_path):
    names = [f"v{number}" for number in range(6)]
    for name in names:
        row_table.write(table(tiny, name), tmp_path / f"{name}.csv")
    program = [sys.executable, "-c", AT_ONCE]
    arguments = {"cwd": tmp_path, "stdin": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen([*program, *names[start::3]], **arguments) for start in range(3)]
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.communicate()[1] for process in processes] == [""] * 3
    stored = pd.read_csv(tmp_path / "board/leaderboard.csv")
    assert sorted(stored["variant"].unique()) == names
    assert len(stored) == 2 * len(names)
    history = (tmp_path / "baseline.md").read_text()
    assert all(f"because of {name}" in history for name in names)
    last = row_table.read(tmp_path / "baseline.csv")["variant"].unique().tolist()
    assert last == [history.rstrip().splitlines()[-1].split("because of ")[1].split()[0]]
    assert not list(tmp_path.rglob(".*"))


def test_a_lock_that_is_held_is_waited_for_and_then_named(tiny, tmp_path):
    row_table.write(table(tiny), tmp_path / "r.csv")
    with locked(tmp_path / "x.csv"):
        with pytest.raises(ValueError, match="x.csv: another process is using it"), locked(tmp_path / "x.csv", 0.1):
            pass
        (tmp_path / "link.csv").symlink_to("x.csv")
        with pytest.raises(ValueError, match="link.csv: another process"), locked(tmp_path / "link.csv", 0.1):
            pass
    with locked(tmp_path / "x.csv", 0.1):
        gate.update_baseline(tmp_path / "r.csv", tmp_path / "other.csv", "no lock of this", "x")
    assert not list(tmp_path.rglob(".*"))
