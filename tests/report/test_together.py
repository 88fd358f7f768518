"""Rows of several runs in one table: reference lines count once, and captions say where all rows come from."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from sg2bench import gate
from sg2bench import rows as row_table
from sg2bench.report import leaderboard, variants, write
from sg2bench.rows import is_line, refuse_mixture
from tests.rows.test_rows import on_half
from tests.tables import table


@pytest.fixture
def two_runs(rows):
    """Rows of two experiments of one name, one after the other: both have the reference lines."""
    lines = rows[is_line(rows)]
    return pd.concat([rows, lines.assign(config_hash="e" * 16)], ignore_index=True)


def test_equal_reference_lines_count_once(folder, rows, two_runs, without_plots):
    for name, content in (("in", rows), ("twice", two_runs)):
        row_table.write(content, folder / name / "results.csv")
        write.write(folder / name / "results.csv", folder / f"{name}-out", "x")
        leaderboard.add([folder / name / "results.csv"], folder / f"{name}-board", "x")
    for place in ("out/leaderboard.md", "out/summary.csv", "board/leaderboard.md"):
        once, twice = ((folder / f"{name}-{place}").read_text() for name in ("in", "twice"))
        assert twice.replace("Made by `x`", "Made by `sg2bench ablate x`") in (
            once,
            once.replace("sg2bench ablate x", "x"),
        )


@pytest.mark.parametrize(("column", "other"), [("value", 1.6), ("n_fake", 5)])
def test_differing_reference_lines_are_refused_with_both(folder, two_runs, column, other):
    last = two_runs[two_runs["variant"] == "real"].index[-1]
    two_runs.loc[last, column] = other
    row_table.write(two_runs, folder / "in/results.csv")
    for refused in (
        lambda: write.write(folder / "in/results.csv", folder / "out", "x"),
        lambda: leaderboard.add([folder / "in/results.csv"], folder / "board", "x"),
    ):
        with pytest.raises(
            ValueError, match=r"reference line `real` has two values, 1.5 of 4 .* \(config_hash e{16}\)"
        ):
            refused()


def test_steps_on_half_of_the_sources_need_the_same_pairs_and_counts(tiny):
    sides = [table(tiny, variant) for variant in ("full", "no_ds")]
    even = [on_half(side, "even", step) for side in sides for step in (2, 4)]
    refuse_mixture(pd.concat([*sides, *even]), Path("rows"))
    for change, message in (
        ({"n_fake": 3}, "has n_fake 3, 4; values of unequal counts"),
        ({"target": "cat"}, "no_ds seed 0 and full seed 0 have different pairs of domains"),
    ):
        with pytest.raises(ValueError, match=message):
            refuse_mixture(
                pd.concat([*sides, *even[:-2], *(rows.assign(**change) for rows in even[-2:])]), Path("rows")
            )
    with pytest.raises(
        ValueError, match="rows: holds rows of half of the sources only .protocol offline, even sources"
    ):
        refuse_mixture(pd.concat(even), Path("rows"))


def test_captions_and_histories_name_all_devices_versions_and_days(tiny, rows, tmp_path):
    half = rows["seed"] == 0
    for column, other in (
        ("device", "NVIDIA X"),
        ("torch_version", "9.9"),
        ("sg2bench_version", "7"),
        ("git_commit", ""),
        ("created_at", "2020-01-31T12:00:00+00:00"),
    ):
        rows.loc[half, column] = other
        rows.loc[~half, column] = f"{other}1" if column != "created_at" else "2020-02-01T12:00:00+00:00"
    caption = variants.caption(rows)
    made = "sg2bench 7; 71 at no commit; 1"
    assert caption.endswith(f"NVIDIA X; NVIDIA X1, torch 9.9; 9.91, {made}, 2020-01-31 to 2020-02-01.")
    row_table.write(rows, tmp_path / "rows.csv")
    gate.update_baseline(tmp_path / "rows.csv", tmp_path / "baseline.csv", "new devices", "x")
    history = (tmp_path / "baseline.md").read_text()
    assert "- 2020-01-31 to 2020-02-01: new devices (" in history
    assert f"{made}, NVIDIA X; NVIDIA X1" in history.replace("\\", "")
