"""What a report leads with: claims and effects, in the folder, on the page, and from Python."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

import sg2bench
from sg2bench import rows as row_table
from sg2bench.report import lead, write
from tests.cli.test_cli import assert_refused
from tests.tables import study

pytestmark = pytest.mark.usefixtures("without_plots")
CLAIMED = """# Made by: sg2bench ablate x
variants: {full: {}, no_ds: {loss.ds: 0}}
seeds: [0, 1, 2]
claims:
- {term: ds, variant: no_ds, purpose: styles are diverse, metric: lpips}
- {term: ds, variant: no_ds, purpose: styles are real, metric: fd_alexnet}
- {term: ds, variant: no_ds, purpose: styles are real, metric: fd_alexnet, over: swing}
"""


@pytest.fixture
def claimed(folder):
    """The folder, whose experiment makes three claims: one of two seeds, one that is wrong, one without steps."""
    (folder / "in/experiment.yaml").write_text(CLAIMED)
    return folder


def test_a_report_has_the_claims_and_the_effects(claimed, quick_cli):
    process = quick_cli("report", "in/results.csv", "--out", "out")
    assert process.returncode == 0, process.stderr
    claims, effects = (pd.read_csv(claimed / "out" / name) for name in ("claims.csv", "effects.csv"))
    assert claims["verdict"].tolist() == ["not decided", "does not hold here", "not decided"]
    assert claims["missing"].tolist() == [1, 1, 1]
    assert effects["primary"].tolist() == [True, True]
    assert effects["sentence"][0].startswith("Without ds the Fréchet distance falls by 20 % [17 %, 22 %], from 50.5 to")
    board = (claimed / "out/leaderboard.md").read_text()
    assert process.stdout.startswith(board.splitlines()[0])
    assert (
        board.index("## Claims")
        < board.index("| ds | styles are diverse | not decided |")
        < board.index("## Realistic")
    )
    assert board.index("Change from full:") > board.index("## Realistic")
    text = (claimed / "out/report.html").read_text()
    assert re.findall(r'<section id="(.*?)">', text)[:2] == ["claims", "effects"]
    assert "Frames mark the metrics that decide claims; all others are exploratory." in text
    assert 'download="claims.csv"' in text


def test_without_claims_there_is_no_claim_table(folder):
    text = write.write(folder / "in/results.csv", folder / "out", "").read_text()
    assert 'id="claims"' not in text
    assert "exploratory" not in text
    assert 'id="effects"' in text
    assert not (folder / "out/claims.csv").exists()
    assert "## Claims" not in (folder / "out/leaderboard.md").read_text()


def test_a_single_variant_has_no_effects(folder, rows):
    row_table.write(rows[rows["variant"] != "no_ds"], folder / "in/results.csv")
    text = write.write(folder / "in/results.csv", folder / "out", "").read_text()
    assert 'id="effects"' not in text
    assert not list((folder / "out").glob("*effect*"))


def test_claims_that_are_gone_leave_no_file(claimed):
    write.write(claimed / "in/results.csv", claimed / "out", "")
    assert (claimed / "out/claims.csv").is_file()
    (claimed / "in/experiment.yaml").write_text("name: x\n")
    write.write(claimed / "in/results.csv", claimed / "out", "")
    assert not (claimed / "out/claims.csv").exists()


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("metric: lpips", "metric: lpip", "experiment.yaml: claims.0.metric: no metric `lpip`, did you mean `lpips`?"),
        ("variant: no_ds, purpose: styles are diverse", "variant: x, purpose: y", "claims.0.variant: no variant `x`"),
        ("loss.ds: 0", "loss.dss: 0", "experiment.yaml: variants.no_ds: unknown key `loss.dss`"),
    ],
)
def test_claims_that_cannot_be_read_are_refused_before_anything_is_written(claimed, quick_cli, before, after, message):
    file = claimed / "in/experiment.yaml"
    file.write_text(file.read_text().replace(before, after))
    assert_refused(quick_cli("report", "in/results.csv", "--out", "out"), message)
    assert not (claimed / "out").exists()


def test_from_python(claimed, rows):
    file, known = claimed / "in/results.csv", claimed / "in/experiment.yaml"
    effects, claims = sg2bench.effects(file), sg2bench.claims(str(file))
    assert effects["primary"].all()
    pd.testing.assert_frame_equal(sg2bench.effects(row_table.read(file), experiment=known), effects)
    pd.testing.assert_frame_equal(sg2bench.claims(row_table.read(file), experiment=known), claims)
    assert not sg2bench.effects(row_table.read(file))["primary"].any()
    known.unlink()
    with pytest.raises(ValueError, match="no `claims` to judge: name an experiment that has some"):
        sg2bench.claims(file)
    with pytest.raises(ValueError, match="rows: rows of several experiments cannot be compared: other, tiny"):
        sg2bench.effects(pd.concat([rows, rows.assign(experiment="other")]))
    with pytest.raises(ValueError, match="rows: column experiment is missing; result rows have experiment, variant"):
        sg2bench.effects(pd.DataFrame())
    with pytest.raises(ValueError, match="none.csv"):
        sg2bench.effects(claimed / "none.csv")


@pytest.mark.parametrize("seeds", [1, 3])
def test_every_table_of_a_study_can_be_drawn(tmp_path, seeds):
    """Also of one seed, and where a variant lacks a metric."""
    table = study(seeds=range(seeds))
    table = table[~((table["variant"] == "no_ds") & (table["metric"] == "lpips"))]
    effects = row_table.measure_effects(table)
    found = lead.lead(effects, pd.DataFrame(), table, tmp_path)
    assert [picture.file.name for picture in found.forests] == [
        f"{question}-by-effect.png" for question in ("realistic", "reached", "kept", "followed")
    ]
    assert all(picture.file.stat().st_size < 60_000 for picture in [found.overview, *found.forests])
    assert np.isnan(effects[effects["metric"] == "lpips"]["effect"]).sum() == 2
