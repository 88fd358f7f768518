from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from sg2bench import rows as row_table
from sg2bench.catalog import METRICS, QUESTIONS, REFERENCE_LINES, default_metrics
from sg2bench.evaluation.values import tabulate
from sg2bench.report import leaderboard
from tests.tables import LINES, study, table


@pytest.fixture
def rows(tiny):
    """Five seeds each of four variants: `full` and `same` alike, `better` by 30, `worse` by 30, `single` one seed."""
    parts = []
    for variant, shift in (("full", 0.0), ("same", 0.5), ("better", -30.0), ("worse", 30.0)):
        for seed in range(5):
            part, turned = table(tiny, variant, seed), 4 - seed if variant == "same" else seed
            part["value"] += np.where(part["metric"] == "fd_alexnet", shift + turned, 0.01 * turned)
            parts.append(part)
    parts.append(table(tiny, "single"))
    lines = [tabulate(v, tiny, name, 0, 0, "f" * 16, torch.device("cpu"), "c" * 16) for name, v in LINES.items()]
    return pd.concat([*parts, *lines], ignore_index=True)


@pytest.fixture
def add(tmp_path):
    def call(rows, name="r.csv", command="the | command"):
        row_table.write(rows, tmp_path / name)
        return leaderboard.add([tmp_path / name], tmp_path / "board", command)[0]

    return call


def of(page):
    return page.with_suffix(".md").read_text(), pd.read_csv(page.with_suffix(".csv"))


def part_of(text, title):
    """Header and body of one table of a leaderboard in Markdown, stripped."""
    (found,) = [part.split("\n## ")[0] for part in text.split("### ") if part.startswith(f"{title}\n")]
    lines = [line.split(" | ") for line in found.splitlines() if line.startswith("| ")]
    header, _, *body = [[cell.strip("| ") for cell in line] for line in lines]
    return header, body


def test_entries_stand_in_order_with_the_ranks_that_are_left_open(rows, add):
    text, stored = of(add(rows))
    assert len(stored) == 2 * (4 * 5 + 1) + 2
    header, body = part_of(text, "Realistic: like the target's images")
    assert header[:4] == ["variant", "experiment", "fd_alexnet latent ↓", "seeds"]
    half_width = 2.7764451 * np.std(range(5), ddof=1) / 5**0.5
    assert [row[0] for row in body[5:]] == ["real validation images", "untranslated sources"]
    shown = {row[0]: row[2] for row in body}
    assert list(shown)[:5] == ["better", "single", "full", "same", "worse"]
    assert shown["better"] == f"22.00 ± {half_width:.2f} (1–2)"
    assert shown["single"].startswith("50.00 † [")
    assert shown["single"].endswith("] (1–5)")
    ranks = [shown[variant].split(" (")[1] for variant in ("full", "same", "worse")]
    assert ranks == ["2–4)", "2–4)", "4–5)"]
    assert shown["real validation images"] == "1.50"
    assert (body[0][3], body[0][4]) == ("5", "4")
    header, body = part_of(text, "Followed: the reference's style is applied, and styles are diverse")
    assert header == ["variant", "experiment", "lpips latent ↑"]
    assert [row[0] for row in body] == ["better", "single", "full", "same", "worse"]
    assert body[0][2].startswith("0.2700 ± ")
    assert {row[2].split(" (")[-1] for row in body} == {"1–5)"}
    assert "the \\| command" in text
    for part in ("4 outputs against 6 training images", "data ffffffffffffffff", "fd_alexnet on alexnet", "offline"):
        assert part in text


def test_each_question_has_a_table_with_the_modes_and_lines_that_there_are(add):
    text, stored = of(add(study(["full", "a"], range(2))))
    assert set(stored["metric"]) == set(default_metrics("offline"))
    for question, meaning in QUESTIONS.items():
        header, body = part_of(text, f"{question.capitalize()}: {meaning}")
        assert [row[0] for row in body] == ["full", "a", *REFERENCE_LINES.values()]
        assert all(len(row) == len(header) for row in body)
        assert ("command" in header) == (question == "realistic")
    assert header[2:] == [
        f"{name} {mode} {METRICS[name].arrow}"
        for name in METRICS
        for mode in METRICS[name].modes
        if METRICS[name].question == "followed" and METRICS[name].default
    ]


def test_only_like_rows_rank_together(rows, add):
    other = rows.assign(protocol_hash="0" * 16), rows.assign(data_fingerprint="0" * 16), rows.assign(n_fake=8)
    text, _ = of(add(pd.concat([rows, *other[:2]])))
    assert text.count("± 1.96 (4–5) |") == 3
    text, _ = of(add(other[2].assign(config_hash="1" * 16)))
    assert text.count("± 1.96 (4–5) |") == 4


def test_rows_merge_and_those_measured_again_replace_the_old(rows, add):
    models = rows[rows["variant"] == "full"]
    add(models[models["seed"] < 3])
    page = add(models[models["seed"] >= 2].assign(git_commit="later"), command="another")
    text, stored = of(page)
    assert "later" in text
    assert sorted(stored[stored["metric"] == "lpips"]["seed"]) == [0, 1, 2, 3, 4]
    assert stored[stored["seed"] == 2]["command"].unique().tolist() == ["another"]


def test_added_and_replaced_rows_are_counted(rows, tmp_path):
    models = rows[rows["variant"] == "full"]  # 5 seeds, 2 metrics
    for part, counts in ((models[models["seed"] < 3], (6, 0)), (models, (4, 6))):
        row_table.write(part, tmp_path / "r.csv")
        assert leaderboard.add([tmp_path / "r.csv"], tmp_path / "board", "x")[1:] == counts


def test_published_figures_stand_apart(rows, add):
    page = add(rows)
    before, after = of(page)[0].split("## Published")
    assert "13.73 ± 0.06" in after
    assert "CelebA-HQ" not in before
    assert "Published by the authors" in page.read_text()


def test_a_bad_row_changes_nothing(rows, add, tmp_path):
    page = add(rows[rows["variant"] == "full"])
    before = page.read_bytes(), page.with_suffix(".csv").read_bytes()
    with pytest.raises(ValueError, match="no overall value"):
        add(rows[rows["target"] != "*"])
    rows.loc[0, "protocol_hash"] = "<script>"
    with pytest.raises(ValueError, match="line 2: protocol_hash is '<script>'"):
        add(rows)
    assert (page.read_bytes(), page.with_suffix(".csv").read_bytes()) == before


def test_the_command_is_that_of_the_experiment_or_must_be_given(rows, add, tmp_path):
    with pytest.raises(ValueError, match="give the command with --command"):
        add(rows, command=None)
    (tmp_path / "experiment.yaml").write_text("# Made by: sg2bench ablate <x>\n")
    page = add(rows, command=None)
    assert "<code>sg2bench ablate &lt;x&gt;</code>" in of(page)[0]
    assert "sg2bench ablate &lt;x&gt;" in page.read_text()


def test_entries_of_several_commands_name_them_all_and_the_option_does_not_overrule(rows, add, tmp_path):
    models = rows[rows["variant"] == "full"]
    add(models[models["seed"] < 3], command="ours")
    assert "`ours; theirs/*`" in of(add(models[models["seed"] >= 3], command="theirs/*"))[0]
    (tmp_path / "experiment.yaml").write_text("# Made by: sg2bench ablate x\n")
    assert "theirs" not in of(add(models, command="theirs"))[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [("garbage\n1\n", "leaderboard.csv: column experiment, .* is missing"), ("", "leaderboard.csv: not a CSV")],
)
def test_a_leaderboard_that_is_none_is_refused(rows, add, tmp_path, text, message):
    (tmp_path / "board").mkdir()
    (tmp_path / "board/leaderboard.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        add(rows)


def test_a_bad_edit_of_the_leaderboard_is_named_by_its_line(rows, add):
    page = add(rows)
    stored = page.with_suffix(".csv")
    stored.write_text(stored.read_text().replace(",offline,", ",oops,", 1))
    with pytest.raises(ValueError, match="leaderboard.csv: line 2: protocol is 'oops'"):
        add(rows)


def test_entries_are_sorted_by_the_first_question_that_has_a_metric(rows, add):
    """In the catalogue, precision comes after `lpips`, which is of a later question; that table says what made them."""
    models = rows[rows["variant"].isin(["better", "worse"])]
    shares = models[models["metric"] == "fd_alexnet"].assign(metric="precision", protocol_hash="b" * 16)
    shares["value"] = 0.9 - shares["value"] / 200
    text, _ = of(add(pd.concat([models[models["metric"] == "lpips"], shares])))
    header, body = part_of(text, "Realistic: like the target's images")
    assert header == ["variant", "experiment", "precision latent ↑", "seeds", "steps", "date", "commit", "command"]
    assert [row[0] for row in body] == ["better", "worse"]
