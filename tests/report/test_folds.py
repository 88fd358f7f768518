"""What a report of very many variants draws, and what it says that it leaves out."""

from __future__ import annotations

import pandas as pd
import pytest

from sg2bench import rows
from sg2bench.keys import Claim
from sg2bench.report import folds, page, write
from sg2bench.report.variants import order
from tests.tables import study


@pytest.fixture(scope="module")
def many():
    """Sixty variants, each worse than the one before; `full` is the first of the rows and the best."""
    names = ("full", *(f"v{n:02}" for n in range(1, 60)))
    return study(names, seeds=(0, 1), domains=("cat", "dog"), metrics=["fd_alexnet", "lpips"])


def test_few_variants_are_all_drawn(many):
    few = many[many["variant"].isin([f"v{n:02}" for n in range(1, folds.MOST_DRAWN + 1)])]
    assert folds.fold(few, order(few), ()) == (order(few), "")


def test_of_many_the_baseline_the_claimed_and_the_best_are_drawn_in_order(many):
    ranked = order(many)
    last = pd.concat([many[many["variant"] == "v59"], many])  # the baseline is the first of the rows, here the worst
    claims = [Claim(term="x", variant=name, purpose="p", metric="lpips") for name in ("v50", "no_such")]
    drawn, said = folds.fold(last, ranked, claims)
    assert "v59 (the first), those that claims are about and the best by fd_alexnet, latent" in said
    assert len(drawn) == folds.MOST_DRAWN
    assert drawn == [variant for variant in ranked if variant in drawn]
    assert drawn[-2:] == ["v50", "v59"]
    assert drawn[:-2] == ranked[: folds.MOST_DRAWN - 2]
    shuffled = last.sort_values("metric", ascending=False)
    assert "the best by fd_alexnet, latent" in folds.fold(shuffled, order(shuffled), ())[1]


def test_the_page_has_all_in_its_tables_and_says_what_is_not_drawn(many, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr("sg2bench.report.figures.plots_of", lambda table, _: drawn.append(table) or [])
    rows.write(many, tmp_path / "results.csv")
    file = write.write(tmp_path / "results.csv", tmp_path / "out", "the command")
    text = file.read_text()
    assert f"60 variants, of which plots, examples and samples show {folds.MOST_DRAWN}" in text
    assert "full (the first) and the best by fd_alexnet, latent" in text
    assert "The other 36 are in the tables below" in text
    for variant in order(many):
        assert f"<td>{variant}</td>" in text
    assert drawn[0][~rows.is_line(drawn[0])]["variant"].nunique() == folds.MOST_DRAWN
    assert set(pd.read_csv(tmp_path / "out/effects.csv")["variant"]) == set(order(many)) - {"full"}
    assert page.provenance(many)["Seeds"] == "0; 1"
