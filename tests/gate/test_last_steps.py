"""Runs averaged over their last evaluated steps."""

from __future__ import annotations

import pandas as pd
import pytest

from sg2bench import api, gate, rows
from tests.tables import table

EVEN = "offline, even sources"


@pytest.fixture
def write(tiny, tmp_path):
    """Writes rows of two seeds at steps, on the even sources; values are shifted by seed and step."""

    def write(name, shift, steps=(1, 2, 3)):
        made = [
            table(tiny, seed=seed, shift=shift(seed, step)).assign(step=step, protocol=EVEN)
            for seed in (0, 1)
            for step in steps
        ]
        rows.write(pd.concat(made), tmp_path / f"{name}.csv")
        return tmp_path / f"{name}.csv"

    return write


def test_values_are_means_over_the_last_steps_of_each_seed(write):
    by_step = {1: 100.0, 2: 1.0, 3: 3.0}
    file = write("new", lambda seed, step: by_step[step] + seed)
    found = rows.averaged_steps(rows.read(file), 2, file)
    means = found[found["metric"] == "fd_alexnet"].groupby("seed")["value"].unique()
    assert [list(each) for each in means] == [[52.0], [53.0]]
    assert len(found) == 2 * 6


def test_a_gate_over_the_last_steps_sees_through_what_swings_from_step_to_step(write):
    swing = {1: -0.1, 2: 0.2, 3: -0.2}
    old = write("old", lambda seed, step: swing[step] + 0.0010 * seed)
    new = write("new", lambda seed, step: -swing[step] + 0.0011 * seed)
    compared = api.check(new, old, last_steps=2)
    assert gate.verdict(compared) == gate.PASS
    assert (compared["value"] - compared["baseline"]).abs().max() < 0.001


def test_too_few_steps_and_other_steps_are_refused(write):
    old = write("old", lambda seed, step: seed)
    with pytest.raises(ValueError, match=r"old.csv: full, seed 0, has 3 evaluated steps, fewer than 4: set train"):
        api.check(old, old, last_steps=4)
    other = write("new", lambda seed, step: seed, steps=(2, 3, 4))
    with pytest.raises(ValueError, match="the last 2 evaluated steps of .*new.csv and .*old.csv differ"):
        api.check(other, old, last_steps=2)


@pytest.mark.parametrize("lacks", [{"variant": ["full"]}, {"variant": ["full"], "seed": [1]}])
def test_a_run_without_evaluated_steps_is_not_left_out_in_silence(write, tmp_path, lacks):
    old = rows.read(write("old", lambda seed, step: seed))
    both = pd.concat([old, old.assign(variant="no_ds")])
    gone = pd.concat([both[column].isin(values) for column, values in lacks.items()], axis=1).all(axis=1)
    last = both[both["step"] == 3].assign(protocol="offline", protocol_hash="1" * 16)
    rows.write(pd.concat([both[~gone], last]), tmp_path / "new.csv")
    with pytest.raises(ValueError, match=r"new.csv: full, seed \d, has 0 evaluated steps, fewer than 2: set train"):
        api.check(tmp_path / "new.csv", tmp_path / "new.csv", last_steps=2)


def test_other_steps_of_the_same_mean_are_refused(write):
    old = write("old", lambda seed, step: seed, steps=(1000, 2000, 3000))
    new = write("new", lambda seed, step: seed, steps=(500, 2500, 3000))
    with pytest.raises(ValueError, match=r"only one of them has full at 1000, 2000, 3000; train both"):
        api.check(new, old, last_steps=3)


def test_a_metric_that_a_step_lacks_is_named(write):
    old = write("old", lambda seed, step: seed)
    table = rows.read(old)
    rows.write(table[(table["metric"] != "lpips") | (table["step"] != 2)], old)
    with pytest.raises(ValueError, match=r"full, seed 0, has lpips latent .* at only some of 2, 3"):
        api.check(old, old, last_steps=2)


@pytest.mark.parametrize("options", [{"exact": 0.1}, {"bench": 0.1}])
def test_means_over_steps_are_for_a_comparison_over_seeds(write, options):
    file = write("old", lambda seed, step: seed)
    with pytest.raises(ValueError, match="--last-steps is for comparisons over seeds"):
        api.check(file, file, last_steps=2, **options)
    with pytest.raises(ValueError, match="--last-steps 0: expected 1 or more"):
        api.check(file, file, last_steps=0)
