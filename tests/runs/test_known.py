"""Runs whose rows are in a file: taken if they are all there and of the same run, named if not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from sg2bench import rows
from sg2bench.evaluation.uncertainty import Estimate
from sg2bench.evaluation.values import Value, means, tabulate
from sg2bench.files import write_digests
from sg2bench.runs import collect, known, plan, steps
from sg2bench.runs.known import Known
from tests.runs.test_plan import CPU, changed

DOMAINS = ("bunny", "cat", "dog")
CURVES = pd.DataFrame(
    {"step": [2, 4] * 2, "g_latent/ds": [0.1, 0.2, np.nan, np.nan], "variant": "full", "seed": [0, 0, 1, 1]}
)


@pytest.fixture
def jobs(tiny, tmp_path):
    """Two seeds of one variant, with values at steps 2 and 4."""
    two = tiny.model_copy(update={"variants": {"full": {}}, "seeds": (0, 1)})
    return lambda **parts: [status.job for status in plan.plan(with_steps(two, **parts), tmp_path / "runs")]


def with_steps(experiment, **parts):
    parts["evaluate"] = {"sources": 4} | parts.get("evaluate", {})
    return changed(experiment, **{"train": {"evaluate_at": [2]}} | parts)


def of_step(job, measured):
    """Rows as evaluation makes them, with arbitrary values."""
    rng = np.random.default_rng(job.seed)
    step, part = measured
    values = [
        Value(mode, source, target, metric, Estimate(rng.random(), {"val/cat": np.array([0.1, -0.1])}), 6, 4)
        for metric, mode in job.experiment.evaluate.measured
        for source in DOMAINS
        for target in DOMAINS
        if source != target
    ]
    about = step, job.data_fingerprint, CPU, job.config_hash
    return tabulate(values + means(values), job.experiment, job.variant, job.seed, *about, part=part)


def whole(*jobs):
    """All rows of jobs."""
    tables = []
    for job in jobs:
        table = of_step(job, (2, "even"))
        while todo := steps.missing(job, table):
            table = pd.concat([table, of_step(job, todo[0])])
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def file(table, name="A.csv", curves=None, files=()):
    return Known(Path(name), table, curves, dict(files))


def planned(jobs, *tables):
    """What `plan` says, without a run folder."""
    runs = jobs[0].folder.parents[2]
    experiment = jobs[0].experiment.model_copy(update={"seeds": tuple(job.seed for job in jobs)})
    return plan.plan(experiment, runs, tables)


def unused(table, jobs):
    return known.unused(table, planned(jobs, table))


def test_a_run_is_known_by_all_of_its_rows(jobs):
    first, second = jobs()
    table = file(whole(first))
    assert (known.find(first, [table]), known.find(second, [table])) == (table, None)
    assert [status.state for status in planned([first, second], table)] == ["skipped", "waiting"]
    assert unused(table, [first, second]) == ""
    pd.testing.assert_frame_equal(table.rows_of(first), table.table, check_dtype=False)
    assert known.find(second, [table, file(whole(second))]).table["seed"].tolist()[0] == 1


@pytest.mark.parametrize(
    ("missing", "lacks"),
    [
        ({"metric": "lpips"}, "step 2 lacks lpips latent"),
        ({"metric": "lpips", "mode": "reference"}, "step 2 lacks lpips reference"),
        ({"mode": "latent", "source": "cat", "target": "dog"}, "cat dog"),
        ({"source": "*", "target": "*"}, r"\* \*"),
        ({"step": 2}, "step 2 lacks fd_alexnet latent"),
        ({"protocol": "offline"}, "step 4 lacks fd_alexnet latent"),
        ({"protocol": "offline, odd sources", "step": 4}, "step 4 lacks fd_alexnet latent"),
    ],
)
def test_a_run_of_which_rows_are_missing_is_trained(jobs, missing, lacks):
    first, _ = jobs()
    table = whole(first)
    gone = np.logical_and.reduce([table[column] == value for column, value in missing.items()])
    assert 0 < gone.sum() < len(table)
    table = file(table[~gone])
    assert known.find(first, [table]) is None
    message = unused(table, [first])
    assert message.startswith("A.csv: unused runs: 1 with missing rows, to be trained (e.g. ")
    assert pd.Series([message]).str.contains(lacks).all()


@pytest.mark.parametrize(
    ("column", "value", "why"),
    [
        ("variant", "no_cyc", "1 of another variant (e.g. no_cyc seed 0: no_cyc, this experiment has full)"),
        (
            "data_fingerprint",
            "f" * 16,
            f"1 of another data_fingerprint (e.g. full seed 0: {'f' * 16}, this experiment has ",
        ),
        ("config_hash", "c" * 16, f"1 of another config_hash (e.g. full seed 0: {'c' * 16}, this experiment has "),
        (
            "seed",
            7,
            "1 of another seed (e.g. full seed 7: this experiment has 0, 1; use them with --set seeds=[0,1,7])",
        ),
        (
            "protocol_hash",
            "a" * 16,
            "1 with missing rows, to be trained (e.g. full seed 0: step 2 lacks",
        ),
    ],
)
def test_rows_of_something_else_are_named(jobs, column, value, why):
    first, second = jobs()
    table = file(whole(first).assign(**{column: value}))
    assert known.find(first, [table]) is None
    assert unused(table, [first, second]).startswith(f"A.csv: unused runs: {why}")


def test_a_run_of_another_experiment_is_known_if_nothing_else_differs(jobs):
    first, _ = jobs()
    table = whole(first)
    theirs = table.assign(experiment="huge")
    found = planned([first], file(theirs))[0].known.rows_of(first)
    pd.testing.assert_frame_equal(found, table, check_dtype=False)
    both = file(pd.concat([theirs, table], ignore_index=True))
    assert len(both.rows_of(first)) == len(table)
    other = file(pd.concat([theirs, table.assign(value=table["value"] + 1)], ignore_index=True))
    with pytest.raises(
        ValueError, match=r"A.csv: has different values of the same run in several experiments \(huge, tiny"
    ):
        other.rows_of(first)


def test_runs_are_counted_by_reason_in_one_line(jobs):
    first, second = jobs()
    others = [whole(first).assign(seed=seed) for seed in (5, 6)] + [whole(second).assign(config_hash="c" * 16)]
    message = unused(file(pd.concat([whole(first), *others])), [first, second])
    assert (
        "2 of another seed (e.g. full seed 5: this experiment has 0, 1; use them with --set seeds=[0,1,5,6]); "
        "1 of another c" in message
    )
    lines = file(whole(first)[:0], "lines.csv")
    assert unused(lines, [first]) == "lines.csv: holds no runs, only reference lines"


def test_rows_that_nobody_asks_for_are_left_out(jobs):
    first, _ = jobs()
    table = whole(first)
    more = [table.assign(protocol_hash="a" * 16), table[table["step"] == 2].assign(step=3)]
    more += [table[table["metric"] == "lpips"].assign(metric="kd_alexnet")]
    found = file(pd.concat([*more, table])).rows_of(first)
    assert found["value"].tolist() == table["value"].tolist()


def test_files_with_the_same_run_agree_or_are_refused(jobs):
    first, second = jobs()
    table = whole(first, second)
    later = file(table.assign(created_at="2030-01-01T00:00:00+00:00", device="another"), "B.csv")
    assert known.find(first, [file(table), later]).path == Path("A.csv")
    assert unused(later, [first, second]) == ""
    changed_values = table.assign(value=table["value"] + 1e-12 * (table["seed"] == 1))
    for other in (changed_values, changed_values[changed_values["mode"] == "latent"]):
        files = file(table), file(other, "B.csv")
        assert known.find(first, files) == files[0]
        message = "A.csv and B.csv have different values of full seed 1; leave one of them out"
        with pytest.raises(ValueError, match=message):
            planned([first, second], *files)


def test_a_run_that_its_folder_has_is_taken_from_there(jobs):
    first, _ = jobs()
    table = whole(first)
    rows.write(table, first.folder / "rows.csv")
    write_digests(first.folder, ["rows.csv"], config_hash=first.config_hash)
    (status,) = planned([first], file(table))
    assert (status.state, status.known) == ("skipped", None)
    assert unused(file(table), [first]) == ""
    other = file(table.assign(value=table["value"] + 1))
    message = f"1 with values that differ from the run folder, which is used (e.g. full seed 0: {first.folder})"
    assert unused(other, [first]) == f"A.csv: unused runs: {message}"


def test_a_file_that_would_be_overwritten_has_to_be_used_whole(jobs, tmp_path):
    first, second = jobs()
    table = file(whole(first, second), tmp_path / "out/results.csv")
    out = [tmp_path / "out/../out/results.csv"]
    known.warn_of_unused([table], planned([first, second], table), out)
    message = r"unused runs: 1 of another seed .* Their rows would be overwritten; give --known a copy of the file"
    with pytest.raises(ValueError, match=message):
        known.warn_of_unused([table], planned([first], table), out)
    with pytest.warns(UserWarning, match="1 of another seed"):
        known.warn_of_unused([table], planned([first], table), [])


def test_curves_and_pictures_come_with_the_rows_where_they_are(jobs, tmp_path):
    first, second = jobs()
    pictures = {Path("grids/full-latent.png"): tmp_path / "latent.png"}
    (tmp_path / "latent.png").write_bytes(b"seed 1")
    with_all = file(whole(second, first), "A.csv", CURVES, pictures)
    without = file(whole(first), "B.csv")
    lines = whole(first)[:0]
    for tables, seeds, grids in (
        ([with_all], {0, 1}, ["full-latent.png"]),
        ([without, with_all], {1}, ["full-latent.png"]),
        ([without], None, []),
    ):
        statuses = planned([first, second][: 1 + (seeds is not None)], *tables)
        table = collect.collect(first.experiment, statuses, lines, tmp_path / "out", "the command")
        assert len(rows.read(tmp_path / "out/results.csv")) == len(table)
        if seeds is None:
            assert not (tmp_path / "out/curves.csv").exists()
        else:
            curves = pd.read_csv(tmp_path / "out/curves.csv")
            assert set(curves["seed"]) == seeds
        assert [path.name for path in (tmp_path / "out/grids").iterdir()] == grids
    assert with_all.curves_of(second).columns.tolist() == ["step", "variant", "seed"]


def test_a_variant_called_as_a_collected_file_is_refused(tiny, tmp_path):
    named = tiny.model_copy(update={"variants": {"full": {}, "results.csv": {}}})
    with pytest.raises(ValueError, match=r"variants: results\.csv is a file in the folder of the runs"):
        plan.plan(named, tmp_path)
