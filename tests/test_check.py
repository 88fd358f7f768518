from __future__ import annotations

import pandas as pd
import pytest

from sg2bench import check, results
from tests.test_results import table


@pytest.fixture
def files(tiny, tmp_path):
    """Writes a baseline and results with given shifts by seed; returns their paths."""

    def write(shifts=(0.0, 0.0), edit=lambda rows: rows):
        old = pd.concat([table(tiny, seed=seed) for seed in (0, 1)])
        new = pd.concat([table(tiny, seed=seed, shift=shift) for seed, shift in enumerate(shifts)])
        results.write(old, tmp_path / "old.csv")
        results.write(edit(new), tmp_path / "new.csv")
        return tmp_path / "new.csv", tmp_path / "old.csv"

    return write


def test_the_same_rows_pass(files):
    compared = check.compare(*files(), check.tolerances([]))
    assert len(compared) == 4
    assert not compared["regressed"].any()
    assert (compared["worse_by"] == 0).all()


def test_the_mean_over_seeds_decides_by_metric_and_direction(files):
    compared = check.compare(*files((0.0, 0.02)), check.tolerances([])).set_index(["metric", "target"])
    assert compared.loc[("lpips", "dog"), "worse_by"] == pytest.approx(-0.04)
    lower = check.compare(*files((-0.02, -0.02)), check.tolerances([])).set_index(["metric", "target"])
    assert lower.loc[("lpips", "dog"), "worse_by"] == pytest.approx(0.08)
    assert lower["regressed"].tolist() == [False, False, True, True]
    worse = check.compare(*files((10.0, 2.0)), check.tolerances([])).set_index(["metric", "target"])
    assert worse.loc[("fd_alexnet", "*"), "worse_by"] == pytest.approx(0.12)
    assert worse["regressed"].tolist() == [True, True, False, False]
    loose = check.compare(*files((10.0, 2.0)), check.tolerances(["fd_alexnet=0.13"]))
    assert not loose["regressed"].any()


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda rows: rows.assign(protocol_hash="other"), "protocol_hash differs"),
        (lambda rows: rows.assign(data_fingerprint="other"), "data_fingerprint differs"),
        (lambda rows: rows.assign(n_fake=8), "n_fake differs"),
        (lambda rows: rows[rows["metric"] == "lpips"], "has no row for full / latent / fd_alexnet"),
        (lambda rows: rows[rows["source"] == "cat"], "has no rows of a model's target domains"),
    ],
)
def test_what_cannot_be_compared_is_refused(files, edit, message):
    with pytest.raises(ValueError, match=message):
        check.compare(*files(edit=edit), check.tolerances([]))


@pytest.mark.parametrize("text", ["fd_alexnet", "fd_alexnet=much", "fd_alexnet=-1", "fd_alexnet=nan"])
def test_bad_tolerances_are_refused(text):
    with pytest.raises(ValueError, match="--tolerance"):
        check.tolerances([text])


def test_a_tolerance_for_an_unknown_metric_is_refused(files):
    with pytest.raises(ValueError, match="has no such metric"):
        check.compare(*files(), check.tolerances(["fid=0.1"]))
