"""bench.csv as people bring it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sg2bench import gate, rows
from tests.cli.test_cli import assert_refused
from tests.tables import table

COMMITTED = Path(__file__).parents[2] / "reports/bench/bench.csv"


@pytest.fixture
def bench():
    return pd.read_csv(COMMITTED)


@pytest.fixture
def compare(tmp_path, bench):
    """The edited lines against those committed."""

    def call(edit):
        edit(bench.copy()).to_csv(tmp_path / "new.csv", index=False)
        return gate.compare_throughput(tmp_path / "new.csv", COMMITTED, 0.1)

    return call


def cell(column, value):
    return lambda bench: bench.astype(object).assign(**{column: [value, *bench[column][1:]]})


def test_what_the_bench_writes_is_read(compare):
    assert gate.verdict(compare(lambda bench: bench)) == "pass"
    assert gate.verdict(compare(lambda bench: bench.sample(frac=1, random_state=0))) == "pass"


@pytest.mark.parametrize(
    "rate", [0, -5.0, np.nan, np.inf, -np.inf, 1e300, 1e-300, "True", "0x1p3", "1_000", "fast", "1,5"]
)
def test_a_rate_is_a_number_that_can_be(compare, rate):
    with pytest.raises(ValueError, match=r"new.csv: line 2: images_per_second is not a positive number, up to 1e\+09"):
        compare(cell("images_per_second", rate))


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda bench: pd.concat([bench, bench[:1]]), r"line \d+: this line repeats an earlier one"),
        (lambda bench: bench.assign(notes=1), "column 'notes' is unknown"),
        (lambda bench: pd.concat([bench, bench["device"]], axis=1), "column 'device' appears twice"),
        (lambda bench: bench[:0], "new.csv: holds no lines"),
        (cell("batch_size", "two"), "line 2: batch_size is 'two', expected a whole number"),
        (cell("threads", "-2"), "line 2: threads is '-2', expected a whole number"),
        (cell("precision", "[red]"), re.escape("line 2: precision is '[red]', expected a word such as float32")),
        (cell("device", "=1"), "line 2: device is '=1', expected the name of a device"),
        (cell("device", "cpu\n::error::x"), "line 2: device is .* expected the name of a device"),
        (cell("device", ""), "line 2: device is '', expected the name of a device"),
        (lambda bench: bench.drop(columns="threads"), "column threads is missing; give a bench.csv of this version"),
    ],
)
def test_other_lines_are_refused(compare, edit, message):
    with pytest.raises(ValueError, match=message):
        compare(edit)


def test_a_baseline_is_read_as_strictly(tmp_path, bench):
    pd.concat([bench, bench[:1]]).to_csv(tmp_path / "old.csv", index=False)
    with pytest.raises(ValueError, match="old.csv: .* repeats an earlier one"):
        gate.compare_throughput(COMMITTED, tmp_path / "old.csv", 0.1)


@pytest.mark.parametrize("share", [-0.1, float("nan"), float("inf")])
def test_a_share_is_none_below_0(share):
    with pytest.raises(ValueError, match="--bench .*: expected a share"):
        gate.compare_throughput(COMMITTED, COMMITTED, share)
    with pytest.raises(ValueError, match="--exact .*: expected a share"):
        gate.compare_exactly(COMMITTED, COMMITTED, share)


def test_the_wrong_file_is_told_apart(quick_cli, tiny, tmp_path):
    rows.write(table(tiny), tmp_path / "rows.csv")
    process = quick_cli("check", tmp_path / "rows.csv", "--baseline", COMMITTED, "--bench", 0.1)
    assert_refused(process, "rows.csv: column threads", "these are result rows: compare them without --bench")
    assert_refused(
        quick_cli("check", COMMITTED, "--baseline", COMMITTED), "this is a bench.csv, which sg2bench check takes"
    )
    assert_refused(quick_cli("report", COMMITTED, "--out", "out"), "this is a bench.csv")
    assert not (tmp_path / "out").exists()
