from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from sg2bench import rows
from tests.tables import table


def test_rows_have_the_columns_of_the_design_and_survive_csv(tiny, tmp_path):
    made = table(tiny)
    assert tuple(made.columns) == rows.COLUMNS
    rows.write(made, tmp_path / "r.csv")
    read = rows.read(tmp_path / "r.csv")
    pd.testing.assert_frame_equal(read[["variant", "value", "n_real"]], made[["variant", "value", "n_real"]])
    row = read.iloc[0]
    assert (row["protocol"], row["extractor"], row["experiment"]) == ("offline", "alexnet", "tiny")
    assert row["device"].startswith("cpu (")
    assert len(row["weights_sha256"]) == 64
    assert row["ci_low"] < row["value"] < row["ci_high"]


def test_summary_over_seeds(tiny):
    both = pd.concat([table(tiny), table(tiny, seed=1, shift=2.0), table(tiny, "no_ds")])
    summary = rows.summarize(both).set_index(["variant", "metric"])
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
    rows.write(table(tiny), path)
    path.write_text(edit(path.read_text()))
    with pytest.raises(ValueError, match=message):
        rows.read(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match="none.csv: no such file"):
        rows.read(tmp_path / "none.csv")


def test_rows_of_unknown_origin_are_validated(tiny, tmp_path):
    file = tmp_path / "r.csv"
    good = pd.concat([table(tiny), table(tiny, seed=1, shift=1.0)], ignore_index=True)
    rows.write(good, file)
    assert rows.read(file, need_pairs=True)["value"].astype(float).tolist() == good["value"].tolist()


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
        ("device", "=HYPERLINK(1)", "line 4: device is '=HYPERLINK(1)', expected plain text"),
        ("git_commit", "@SUM(1)", "line 4: git_commit is '@SUM(1)', expected plain text"),
        ("extractor", "\x1b[2J", "line 4: extractor is '\\x1b[2J', expected plain text"),
        ("target", "=1", "line 4: target is '=1', expected a domain"),
        ("target", "a|b", "line 4: target is 'a|b', expected a domain"),
        ("target", "", "line 4: target is '', expected a domain"),
        ("value", "0,25", "line 4: value is '0,25', expected a number; use a decimal point"),
        ("protocol", "standard", "line 4: its protocol does not have this metric"),
        ("ci_low", "90", "line 4: no number lies between ci_low and ci_high"),
        ("ci_high", "", "line 4: an interval needs both ends, ci_low and ci_high"),
        ("ci_low", "1e999", "line 4: no number lies between ci_low and ci_high"),
        ("n_real", "7", "line 4: its n_real is not the smallest of its pairs'"),
        ("n_fake", "3", "line 4: its n_fake is not the smallest of its pairs'"),
        ("created_at", "yesterday", "line 4: created_at is 'yesterday', expected a time"),
        ("value", "51", "line 4: its value is not the mean of its pairs'"),
        ("mode", "reference", "line 4: its value is not the mean of its pairs'"),
        ("mode", "none", "line 4: only reference lines have the mode none"),
        ("source", "cat", "line 4: result rows have no means over targets"),
    ],
)
def test_a_bad_row_is_named_by_its_line(tiny, tmp_path, column, value, message):
    made = table(tiny).astype(str)
    made.loc[2, column] = value
    made.to_csv(tmp_path / "r.csv", index=False)
    with pytest.raises(ValueError, match=re.escape(f"r.csv: {message}")):
        rows.read(tmp_path / "r.csv", need_pairs=True)


def test_a_share_is_not_more_than_1(tiny, tmp_path):
    made = table(tiny).replace({"metric": {"fd_alexnet": "density", "lpips": "precision"}})
    rows.write(made.assign(value=1.0), tmp_path / "r.csv")
    rows.read(tmp_path / "r.csv")
    rows.write(made.assign(value=1.1), tmp_path / "r.csv")
    with pytest.raises(ValueError, match="line 5: the value exceeds this metric's maximum"):
        rows.read(tmp_path / "r.csv")


def test_an_interval_may_be_empty_or_without_an_end(tiny, tmp_path):
    for low, high in ((None, None), (float("-inf"), float("inf")), (1.0, float("inf"))):
        rows.write(table(tiny).assign(ci_low=low, ci_high=high), tmp_path / "r.csv")
        assert rows.read(tmp_path / "r.csv")["ci_high"].iloc[0] == high or low is None


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda made: made.assign(notes="=1"), "column 'notes' is unknown; result rows have experiment"),
        (lambda made: made.assign(images_per_second=1).drop(columns="metric"), "this is a bench.csv, which .* --bench"),
        (lambda made: pd.concat([made, made["value"]], axis=1), "column 'value' appears twice"),
    ],
)
def test_other_columns_are_refused(tiny, tmp_path, edit, message):
    edit(table(tiny)).to_csv(tmp_path / "r.csv", index=False)
    with pytest.raises(ValueError, match=message):
        rows.read(tmp_path / "r.csv")


def test_a_row_that_is_there_twice_is_named(tiny, tmp_path):
    rows.write(pd.concat([table(tiny), table(tiny).iloc[[3]]]), tmp_path / "r.csv")
    with pytest.raises(ValueError, match="line 8: this row repeats an earlier one"):
        rows.read(tmp_path / "r.csv")


def test_means_of_a_target_are_looked_at_too(tiny, tmp_path):
    made = table(tiny)
    made.loc[1, "value"] += 1
    rows.write(made, tmp_path / "r.csv")
    with pytest.raises(ValueError, match="line 3: its value is not the mean of its pairs'"):
        rows.read(tmp_path / "r.csv")


def test_spelling_does_not_matter_and_blank_lines_count(tiny, tmp_path):
    made = table(tiny).astype(str)
    made["n_fake"] += ".0"
    lines = made.to_csv(index=False).splitlines()
    (tmp_path / "r.csv").write_text("\ufeff" + "\r\n".join([*lines[:2], "", *lines[2:], ""]), encoding="utf-8")
    read = rows.read(tmp_path / "r.csv")
    assert read["n_fake"].tolist() == [4] * 6
    assert read.index.tolist() == list(range(6))
    (tmp_path / "r.csv").write_text("\n".join([*lines[:2], "", *lines[2:4], lines[4].replace("latent", "?")]))
    with pytest.raises(ValueError, match="line 6: mode is"):
        rows.read(tmp_path / "r.csv")


def test_a_negative_value_is_fine_where_the_metric_may_be_negative(tiny, tmp_path):
    made = table(tiny).replace({"metric": {"fd_alexnet": "fd_alexnet_inf"}}).assign(value=-1.0)
    rows.write(made[made["metric"] == "fd_alexnet_inf"], tmp_path / "r.csv")
    assert (rows.read(tmp_path / "r.csv", need_pairs=True)["value"] == -1).all()


def test_the_short_digest_of_a_publisher_is_readable(tiny, tmp_path):
    rows.write(table(tiny).assign(weights_sha256="6726825d"), tmp_path / "r.csv")
    assert set(rows.read(tmp_path / "r.csv")["weights_sha256"]) == {"6726825d"}


def test_means_without_their_pairs_are_refused_only_where_pairs_are_asked_for(tiny, tmp_path):
    rows.write(rows.overall(table(tiny)), tmp_path / "r.csv")
    assert len(rows.read(tmp_path / "r.csv")) == 2
    with pytest.raises(ValueError, match="line 2: its value is not the mean of its pairs'"):
        rows.read(tmp_path / "r.csv", need_pairs=True)


def test_the_last_step_of_each_run(tiny):
    both = pd.concat([table(tiny).assign(step=9), table(tiny), table(tiny, seed=1)])
    assert set(rows.last_steps(both)[["seed", "step"]].itertuples(index=False, name=None)) == {(0, 9), (1, 4)}


def on_half(table, half, step, shift=0.0):
    hashed = {"even": "e", "odd": "0"}[half] * 16
    value = table["value"] + shift
    return table.assign(step=step, protocol=f"offline, {half} sources", protocol_hash=hashed, value=value)


def test_rows_of_half_of_the_sources_are_read_and_are_no_run_s_result(tiny, tmp_path):
    whole = table(tiny)
    everything = pd.concat([on_half(whole, "even", 9), whole, on_half(whole, "odd", 4)])
    rows.write(everything, tmp_path / "r.csv")
    read = rows.read(tmp_path / "r.csv")
    assert rows.last_steps(read)["value"].tolist() == whole["value"].tolist()
    assert set(rows.of_half(read, "even")["step"]) == {9}
    for bad in ("offline, all sources", "even sources", "offline,even sources"):
        rows.write(everything.assign(protocol=bad), tmp_path / "bad.csv")
        with pytest.raises(ValueError, match="optionally followed by `, even sources` or `, odd sources`"):
            rows.read(tmp_path / "bad.csv")


@pytest.mark.parametrize(
    ("metric", "shifts", "best"),
    [("fd_alexnet", (3, 1, 2), 20), ("lpips", (0.1, 0.3, 0.2), 20), ("lpips", (0.3, 0.1, 0.3), 10)],
)
def test_the_best_step_is_best_on_the_even_sources_in_the_metric_s_direction(tiny, metric, shifts, best):
    even = [on_half(table(tiny), "even", step, shift) for step, shift in zip((10, 20, 30), shifts, strict=True)]
    for rows_of_step, shift in zip(even, shifts, strict=True):
        rows_of_step.loc[rows_of_step["metric"] != metric, "value"] -= 2 * shift  # other metrics go the other way
    odd = [on_half(table(tiny), "odd", step, -shift) for step, shift in zip((10, 20, 30), shifts, strict=True)]
    assert rows.best_step(pd.concat([*even, *odd, table(tiny)]), metric) == best


def test_two_configurations_under_one_variant_are_refused_with_both_named(tiny):
    mixed = pd.concat([table(tiny), table(tiny, seed=1).assign(config_hash="d" * 16), table(tiny, "no_ds", seed=1)])
    message = r"r.csv: full of tiny was trained with two configurations, config_hash c+ \(seed 0\) and .* d+ \(seed 1\)"
    with pytest.raises(ValueError, match=message):
        rows.refuse_mixed_configurations(mixed, Path("r.csv"))
    rows.refuse_mixed_configurations(mixed[mixed["seed"] == 1], Path("r.csv"))


def test_rows_read_unchecked_are_those_that_are_validated(tiny, tmp_path):
    files = []
    for seed in range(3):
        rows.write(table(tiny, seed=seed), tmp_path / f"{seed}.csv")
        files.append(tmp_path / f"{seed}.csv")
    for file, found in zip(files, rows.read_unchecked(files), strict=True):
        pd.testing.assert_frame_equal(found, rows.read(file))
