"""Domains of unequal sizes: a mean has its smallest counts, and only means over the same images are compared."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from sg2bench import gate, rows
from sg2bench.evaluation.uncertainty import Estimate
from sg2bench.evaluation.values import Value, means, tabulate
from sg2bench.report import leaderboard, write

SIZES = {"ant": (18, 24), "bee": (24, 6), "cow": (90, 24)}
"""Training images, and outputs from a source: the first domain by name has neither the fewest nor the most."""


def measured(tiny, variant="full", seed=0, sizes=SIZES, left_out=(), value=5.0):
    values = [
        Value("latent", source, target, metric, Estimate(value, {f"val/{source}": np.array([0.5, -0.5])}), *counts)
        for metric in ("fd_alexnet", "lpips")
        for source in sizes
        for target in sizes
        if source != target and (source, target) not in left_out
        for counts in [(sizes[target][0], sizes[source][1])]
    ]
    return tabulate(values + means(values), tiny, variant, seed, 4, "f" * 16, torch.device("cpu"), "c" * 16)


def several(tiny, **how):
    return pd.concat([measured(tiny, variant, seed, **how) for variant in ("full", "no_ds") for seed in (0, 1)])


@pytest.fixture
def file(tmp_path):
    def write(table, name="r.csv"):
        rows.write(table, tmp_path / name)
        return tmp_path / name

    return write


@pytest.mark.parametrize("order", [list(SIZES), list(SIZES)[::-1]])
def test_counts_do_not_depend_on_the_names_of_domains(tiny, file, order):
    table = rows.read(file(measured(tiny, sizes={name: SIZES[name] for name in order})), need_pairs=True)
    counted = table[table["source"] == "*"].drop_duplicates("target").set_index("target")[["n_real", "n_fake"]]
    assert counted.T.to_dict("list") == {"ant": [18, 6], "bee": [24, 24], "cow": [90, 6], "*": [18, 6]}


def test_pages_show_the_range(tiny, file, tmp_path):
    path = file(several(tiny))
    page = write.write(path, tmp_path / "out", "made")
    caption = "each pair: 6 to 24 outputs (2 per source) against 18 to 90 training images of the target"
    assert caption in (tmp_path / "out/leaderboard.md").read_text()
    assert caption in page.read_text()
    in_captions = 3 * 2 + 3 + 2  # plots; effects: a map, two questions; leaderboard, provenance
    assert page.read_text().count("each pair: 6 to 24 outputs") == in_captions
    board, *_ = leaderboard.add([path], tmp_path / "board", "made")
    text = board.with_suffix(".md").read_text()
    assert "each pair: 6 to 24 outputs against 18 to 90 training images" in text
    assert text.count("\n## ") == 2


@pytest.mark.parametrize(
    ("how", "odd"),
    [
        ({"sizes": {"ant": (18, 24), "bee": (24, 6), "cow": (90, 6)}}, "cow → "),
        ({"sizes": {"ant": (18, 6), "bee": (24, 24), "cow": (90, 24)}}, "ant → "),
        ({"left_out": [("ant", "cow")]}, "ant → cow (n_real 90, n_fake 24)"),
    ],
)
def test_only_means_over_the_same_images_are_ranked_and_compared(tiny, file, tmp_path, how, odd):
    """The overall counts are the same in all of these: 18 and 6."""
    ours, theirs = file(several(tiny), "ours.csv"), file(several(tiny, **how, value=1.0), "theirs.csv")
    overall = [rows.overall(rows.read(path))[["n_real", "n_fake"]].iloc[0].tolist() for path in (ours, theirs)]
    assert overall == [[18, 6], [18, 6]]
    for both in ((ours, theirs), (theirs, ours)):
        with pytest.raises(ValueError, match="cannot be compared") as refused:
            gate.compare(*both, gate.margins())
        assert odd in str(refused.value) or "values of unequal counts" in str(refused.value)
    table = rows.read(theirs)
    renamed = table.assign(experiment="theirs")
    board, *_ = leaderboard.add([ours, file(renamed, "renamed.csv")], tmp_path / "board", "made")
    assert board.with_suffix(".md").read_text().count("\n## ") == 3
    one_worse = pd.concat([measured(tiny), measured(tiny, seed=1, **how)])
    with pytest.raises(ValueError, match="unequal counts"):
        gate.compare(file(one_worse), file(one_worse, "same.csv"), gate.margins())


def test_means_without_their_pairs_are_compared_by_their_own_counts(tiny, file):
    alone = file(rows.overall(several(tiny)), "alone.csv")
    assert gate.verdict(gate.compare(file(several(tiny)), alone, gate.margins())) == "pass"
