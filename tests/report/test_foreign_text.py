"""Names and commands of others are shown as they are, and do nothing: not in Markdown, a spreadsheet, or a terminal."""

from __future__ import annotations

import csv
import re

import pandas as pd
import pytest
from markdown_it import MarkdownIt

from sg2bench import rows as row_table
from sg2bench.report import leaderboard, variants, write
from tests.cli.test_cli import assert_refused

pytestmark = pytest.mark.usefixtures("without_plots")
COMMANDS = [
    "<script>alert(1)</script>",
    "a `b` c",
    "x | y <i>",
    "![x](http://y/z.png)",
    "[red]b[/red]",
    "a\tb",
    "*a* _b_",
]
FORMULAS = ["=HYPERLINK(1)", "+1", "-1", "@SUM(1)", "＝1", "\u202e=1", "a\x1b[2Jb", "\x9b31m"]


def tags(markdown):
    return set(re.findall(r"<(\w+)", MarkdownIt("commonmark").enable("table").render(markdown)))


USUAL = {"h1", "h2", "h3", "p", "em", "code", "table", "thead", "tbody", "tr", "th", "td"}


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_code_in_pages(folder, command, tmp_path):
    (folder / "in/experiment.yaml").write_text(f"# Made by: {command}\n")
    page = write.write(folder / "in/results.csv", folder / "out", "x")
    board, *_ = leaderboard.add([folder / "in/results.csv"], folder / "board", None)
    for text in ((folder / "out/leaderboard.md").read_text(), board.with_suffix(".md").read_text()):
        assert tags(text) <= USUAL
        assert "<script>" not in text
    for text in (page.read_text(), board.read_text()):
        assert "<script>alert" not in text
        assert "<i>" not in text
    with board.with_suffix(".csv").open(newline="") as file:
        assert {row["command"] for row in csv.DictReader(file)} == {command.replace("\t", " ")}


@pytest.mark.parametrize("command", FORMULAS)
def test_a_command_is_no_formula(folder, quick_cli, command):
    results, out = folder / "in/results.csv", folder / "board"
    (folder / "in/experiment.yaml").unlink()
    process = quick_cli("leaderboard", "add", results, "--out", out, "--command", command)
    assert_refused(process, "--command: the command is ", "not a spreadsheet formula")
    (folder / "in/experiment.yaml").write_text(f"# Made by: {command}\n")
    process = quick_cli("leaderboard", "add", results, "--out", out)
    assert_refused(process, f"{folder}/in/experiment.yaml: ")
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", process.stderr)
    assert not list(out.glob("leaderboard.*"))


@pytest.mark.parametrize("edit", [lambda text: text.replace("ours", "=1+1", 1), lambda text: text.replace("ours", "")])
def test_nor_is_it_in_a_leaderboard_that_was_edited(folder, edit):
    (folder / "in/experiment.yaml").unlink()
    board, *_ = leaderboard.add([folder / "in/results.csv"], folder / "board", "ours")
    stored = board.with_suffix(".csv")
    stored.write_text(edit(stored.read_text()))
    with pytest.raises(ValueError, match="leaderboard.csv: line 2: command is .* expected a command"):
        leaderboard.add([folder / "in/results.csv"], folder / "board", "ours")


def test_no_cell_of_a_table_is_a_formula(folder, rows):
    """Rows, summary, curves and the leaderboard; what could be one is refused where it is read."""
    write.write(folder / "in/results.csv", folder / "out", "x")
    board, *_ = leaderboard.add([folder / "out/results.csv"], folder / "board", "x")
    for path in [*(folder / "out").glob("*.csv"), board.with_suffix(".csv")]:
        with path.open(newline="") as file:
            for row in csv.reader(file):
                assert not [cell for cell in row if re.match(r"[=@\t\r]|[+-](?![0-9.]|inf)", cell)]
    for column in ("experiment", "variant", "target", "extractor", "device", "dtype", "torch_version", "git_commit"):
        bad = rows.copy()
        bad.loc[0, column] = "=HYPERLINK(1)"
        row_table.write(bad, folder / "in/results.csv")
        for read in (
            lambda: write.write(folder / "in/results.csv", folder / "out", "x"),
            lambda: leaderboard.add([folder / "in/results.csv"], folder / "board", "x"),
        ):
            with pytest.raises(ValueError, match=f"line 2: {column} is '=HYPERLINK"):
                read()


@pytest.mark.parametrize("name", COMMANDS)
def test_names_are_text_in_markdown_even_where_nothing_refused_them(rows, name):
    hostile = rows.replace({"variant": {"no_ds": name}}).assign(experiment=name, device=name, git_commit=name)
    claims = pd.DataFrame([{"term": name, "purpose": name, "verdict": "holds here", "sentence": name}])
    text = variants.markdown(hostile, row_table.measure_effects(hostile), claims, name)
    assert tags(text) <= USUAL
    overall = row_table.overall(hostile).assign(command=name, most_real=6, most_fake=4, pairs_hash="0" * 16)
    text = leaderboard.markdown(list(leaderboard.ranked(overall)))
    assert tags(text) <= USUAL
    assert "<script>" not in text


def test_escape_codes_do_not_reach_the_terminal(folder, quick_cli):
    file, command = folder / "in/experiment.yaml", ("report", folder / "in/results.csv", "--out", folder / "out")
    file.write_text("# Made by: \x1b[31m\n")
    assert_refused(quick_cli(*command), "experiment.yaml: cannot be read as YAML")
    file.write_text("# Made by: a \u202e b [red]c[/x] :cat:\n", encoding="utf-8")
    process = quick_cli(*command)
    assert process.returncode == 0, process.stderr
    assert "a � b [red]c[/x] :cat:" in process.stdout.replace("\\", "")
