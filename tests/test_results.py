from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
import torch

from sg2bench import results
from sg2bench.evaluation.evaluate import Value
from sg2bench.evaluation.uncertainty import Estimate


def table(tiny, variant="full", seed=0, shift=0.0):
    values = [
        Value("latent", source, target, metric, Estimate(base + shift, {"val/cat": np.array([0.5, -0.5])}), 6, 4)
        for metric, base in (("fd_alexnet", 50.0), ("lpips", 0.25))
        for source, target in (("cat", "dog"), ("*", "dog"), ("*", "*"))
    ]
    return results.rows(values, tiny, variant, seed, 4, "f" * 16, torch.device("cpu"), "c" * 16)


def test_rows_have_the_columns_of_the_design_and_survive_csv(tiny, tmp_path):
    made = table(tiny)
    assert tuple(made.columns) == results.COLUMNS
    results.write(made, tmp_path / "r.csv")
    read = results.read(tmp_path / "r.csv")
    pd.testing.assert_frame_equal(read[["variant", "value", "n_real"]], made[["variant", "value", "n_real"]])
    row = read.iloc[0]
    assert (row["protocol"], row["extractor"], row["experiment"]) == ("offline", "alexnet", "tiny")
    assert row["device"].startswith("cpu (")
    assert len(row["weights_sha256"]) == 64
    assert row["ci_low"] < row["value"] < row["ci_high"]


def test_summary_over_seeds(tiny):
    both = pd.concat([table(tiny), table(tiny, seed=1, shift=2.0), table(tiny, "no_ds")])
    summary = results.summarize(both).set_index(["variant", "metric"])
    full = summary.loc[("full", "fd_alexnet")]
    assert (full["mean"], full["n"]) == (51.0, 2)
    assert full["sd"] == pytest.approx(2**0.5)
    assert pd.isna(summary.loc[("no_ds", "lpips")]["sd"])


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda text: "", "not a CSV of result rows"),
        (lambda text: text.replace("metric,", "metrix,", 1), "column metric is missing"),
        (lambda text: text.splitlines()[0] + "\n", "holds no rows"),
        (lambda text: text.replace("0.25", "good", 1), "line 5: value is 'good', expected a number"),
        (lambda text: text + "a,b,c" + "," * 40 + "\n", "not a CSV of result rows"),
    ],
)
def test_bad_files_are_refused_with_the_line(tiny, tmp_path, edit, message):
    path = tmp_path / "r.csv"
    results.write(table(tiny), path)
    path.write_text(edit(path.read_text()))
    with pytest.raises(ValueError, match=message):
        results.read(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match="none.csv: no such file"):
        results.read(tmp_path / "none.csv")


def test_which_way_is_better():
    assert results.better("lpips") == "higher"
    assert results.better("fd_alexnet") == "lower"


def test_rows_of_unknown_origin_are_validated(tiny, tmp_path):
    file = tmp_path / "r.csv"
    good = pd.concat([table(tiny), table(tiny, seed=1, shift=1.0)], ignore_index=True)
    results.write(good, file)
    assert results.validated(file)["value"].astype(float).tolist() == good["value"].tolist()


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("variant", "<b>", "line 4: variant is '<b>', expected a name"),
        ("seed", "-1", "line 4: seed is '-1', expected a whole number"),
        ("metric", "fid_of_mine", "line 4: metric is 'fid_of_mine', expected one of fd_alexnet"),
        ("value", "inf", "line 4: value is 'inf', expected a number"),
        ("value", "1e400", "line 4: the value is too large"),
        ("value", "-5", "line 4: this metric cannot be negative"),
        ("ci_low", "{low}", "line 4: ci_low is '{low}', expected a number, or nothing"),
        ("n_fake", "0", "line 4: n_fake is '0', expected a number of images"),
        ("protocol_hash", "abc", "line 4: protocol_hash is 'abc', expected 16 hex digits"),
        ("device", "a\nb", "line 4: device is 'a\\nb', expected plain text"),
        ("created_at", "yesterday", "line 4: created_at is 'yesterday', expected a time"),
        ("value", "51", "line 4: its value is not the mean of its pairs'"),
        ("mode", "reference", "line 4: its value is not the mean of its pairs'"),
        ("mode", "none", "line 4: only reference lines have the mode none"),
        ("source", "cat", "line 4: a mean over targets is no row"),
    ],
)
def test_a_bad_row_is_named_by_its_line(tiny, tmp_path, column, value, message):
    rows = table(tiny).astype(str)
    rows.loc[2, column] = value
    rows.to_csv(tmp_path / "r.csv", index=False)
    with pytest.raises(ValueError, match=re.escape(f"r.csv: {message}")):
        results.validated(tmp_path / "r.csv")


def test_a_row_that_is_there_twice_is_named(tiny, tmp_path):
    results.write(pd.concat([table(tiny), table(tiny).iloc[[3]]]), tmp_path / "r.csv")
    with pytest.raises(ValueError, match="line 8: this row is in the file already, further up"):
        results.validated(tmp_path / "r.csv")


def test_means_of_a_target_are_looked_at_too(tiny, tmp_path):
    rows = table(tiny)
    rows.loc[1, "value"] += 1
    results.write(rows, tmp_path / "r.csv")
    with pytest.raises(ValueError, match="line 3: its value is not the mean of its pairs'"):
        results.validated(tmp_path / "r.csv")


def test_spelling_does_not_matter_and_blank_lines_count(tiny, tmp_path):
    rows = table(tiny).astype(str)
    rows["n_fake"] += ".0"
    lines = rows.to_csv(index=False).splitlines()
    (tmp_path / "r.csv").write_text("\ufeff" + "\r\n".join([*lines[:2], "", *lines[2:], ""]), encoding="utf-8")
    read = results.read(tmp_path / "r.csv")
    assert read["n_fake"].tolist() == [4] * 6
    assert read.index.tolist() == list(range(6))
    (tmp_path / "r.csv").write_text("\n".join([*lines[:2], "", *lines[2:4], lines[4].replace("latent", "?")]))
    with pytest.raises(ValueError, match="line 6: mode is"):
        results.validated(tmp_path / "r.csv")
