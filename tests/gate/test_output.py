"""What the gate says to people and to a CI, whatever names it has to say."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from sg2bench import gate, rows
from sg2bench.gate import output
from tests.cli.test_cli import assert_refused
from tests.tables import table

HOSTILE = [
    "<script>alert(1)</script>",
    "\x1b[31mred",
    "a\n::error::b",
    "a|b",
    "[x](http://y)",
    "%0A::set-output",
    "\x00",
]


def compared(name="dog", verdict="regression"):
    line = {"variant": "full", "mode": "latent", "metric": "lpips", "target": name, "baseline": 0.5, "value": 0.25}
    line |= {
        "worse_by": 0.5,
        "margin": 0.025,
        "seeds": 1,
        "results_seeds": 1,
        "baseline_seeds": 5,
        "seeds_needed": None,
    }
    return pd.DataFrame([line | {"verdict": verdict}])


def test_the_worst_line_by_its_margin_is_the_first():
    """Shares of a baseline and differences in a unit are comparable only as multiples of the margin."""
    share = compared("share").assign(baseline=50.0, worse_by=0.3, margin=12.5, absolute=False)
    difference = compared("difference").assign(worse_by=0.25, margin=0.05, absolute=True)
    near = compared("near", gate.INCONCLUSIVE).assign(worse_by=9.0, margin=0.05, absolute=True)
    found = output.markdown(pd.concat([near, share, difference]))
    places = [found.index(f"| {name} |") for name in ("difference", "share", "near")]
    assert places == sorted(places)


@pytest.mark.parametrize("hostile", HOSTILE)
@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_name_is_shown_and_does_nothing(hostile, more):
    for name in (hostile, more):
        for verdict in (gate.REGRESSION, gate.INCONCLUSIVE):
            found = compared(name, verdict)
            (suite,) = [ET.fromstring(output.junit(found))]
            assert "lpips" in suite.find("testcase").get("name")
            page = output.markdown(found)
            html = MarkdownIt("commonmark").enable("table").render(page)
            assert set(re.findall(r"<(\w+)", html)) == {"p", "strong", "table", "thead", "tr", "th", "tbody", "td"}
            assert html.count("<td>") == 8
            assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", page)
            assert json.loads(output.as_json(found))["lines"][0]["target"] == name
        (line,) = output.github_errors(compared(name))
        assert re.fullmatch(r"::error title=[^:,\n\r]*::worse by 50.0%: 0.25, baseline 0.5", line)


@pytest.fixture
def files(tiny, tmp_path):
    """Results of one seed and a baseline of three, alike."""
    rows.write(table(tiny), tmp_path / "new.csv")
    rows.write(pd.concat([table(tiny, seed=seed, shift=seed / 100) for seed in range(3)]), tmp_path / "old.csv")
    return tmp_path / "new.csv", "--baseline", tmp_path / "old.csv"


def test_files_are_written_whoever_reads_the_table(files):
    """As in `sg2bench check … | head`, where the reader is gone before the table is printed."""
    program = [sys.executable, "-m", "sg2bench", "check", *map(str, files), "--junit", "j.xml", "--history", "h.csv"]
    process = subprocess.Popen(program, stdout=subprocess.PIPE, cwd=files[0].parent)
    process.stdout.close()
    assert process.wait() == 141
    assert {"j.xml", "h.csv", "h.svg"} <= {path.name for path in files[0].parent.iterdir()}


def test_the_plot_of_a_history_overwrites_no_other_output(quick_cli, files, tmp_path):
    process = quick_cli("check", *files, "--history", "h.csv", "--markdown", "h.svg")
    assert_refused(process, "h.svg: would be overwritten; name another file")
    assert not (tmp_path / "h.csv").exists()


def test_what_the_baseline_lacks_is_said(quick_cli, tiny, files):
    more = pd.concat([rows.read(files[2]), *(table(tiny, "other", seed) for seed in (0, 1))])
    rows.write(more, files[0])
    process = quick_cli("check", *files, "--markdown", "s.md")
    assert "not compared, as the baseline has none: other" in process.stdout
    assert "not compared, as the baseline has none: other" in (files[0].parent / "s.md").read_text()


def test_a_baseline_changes_for_a_reason(quick_cli, files):
    update = ("check", *files, "--update-baseline", "--reason")
    assert_refused(quick_cli(*update, " "), "give --update-baseline and --reason TEXT together")
    assert_refused(quick_cli(*update, "r", "--inconclusive-ok"), "the only other option is --reason")
    (files[0].parent / "old.md").write_text("# Mine")
    assert quick_cli(*update, "r").returncode == 0
    assert (files[0].parent / "old.md").read_text().startswith("# Mine\n- 20")


def test_one_seed_is_said_with_how_many_there_are(quick_cli, files):
    process = quick_cli("check", *files)
    assert process.returncode == 3
    assert (
        "one seed gives no estimate of the spread, and full has 1 in the results and 3 in the baseline"
        in process.stdout
    )
    assert "train two or more for both" in process.stdout


def test_output_to_devices_links_and_pipes(quick_cli, files, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    (tmp_path / "real.md").write_text("before")
    (tmp_path / "real.md").chmod(0o640)
    (tmp_path / "link.md").symlink_to("real.md")
    process = quick_cli(
        *("check", *files, "--json", "/dev/null", "--junit", tmp_path / "pipe", "--markdown", tmp_path / "link.md")
    )
    assert process.returncode == 3, process.stderr
    assert ET.fromstring(os.read(reader, 100_000)).get("skipped") == "4"
    os.close(reader)
    assert not Path("/dev/null").is_file()
    assert (tmp_path / "link.md").is_symlink()
    assert "Inconclusive" in (tmp_path / "real.md").read_text()
    assert (tmp_path / "real.md").stat().st_mode & 0o777 == 0o640
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.md", "new.csv", "old.csv", "pipe", "real.md"]


def test_output_to_standard_output(cli, files):
    process = cli("check", *files, "--json", "/dev/stdout")
    assert process.returncode == 3, process.stderr
    assert json.loads(process.stdout[process.stdout.index("{") :])["verdict"] == "inconclusive"


def test_new_files_have_the_permissions_that_the_umask_leaves(quick_cli, files, tmp_path):
    before = os.umask(0o027)
    try:
        quick_cli("check", *files, "--json", tmp_path / "gate.json")
    finally:
        os.umask(before)
    assert (tmp_path / "gate.json").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("option", ["--json", "--junit", "--markdown"])
def test_what_cannot_be_written_is_named_after_the_verdict(quick_cli, files, tmp_path, option):
    places = (
        (tmp_path, tmp_path, "Is a directory"),
        ("/dev/full", "/dev/full", "No space"),
        (files[0] / "x", files[0], ""),
    )
    for place, named, why in places:
        process = quick_cli("check", *files, option, place)
        assert_refused(process, str(named), why)
        assert "Inconclusive" in process.stdout


@pytest.mark.parametrize("option", ["--json", "--junit", "--markdown"])
def test_nothing_that_is_read_is_overwritten(quick_cli, files, tmp_path, option):
    (tmp_path / "link.csv").symlink_to("old.csv")
    before = files[2].read_bytes()
    for place in (files[0], files[2], "link.csv"):
        assert_refused(quick_cli("check", *files, option, place), f"{place}: would be overwritten")
    assert_refused(quick_cli("check", *files, "--json", "x", "--junit", "x"), "would be overwritten")
    assert files[2].read_bytes() == before


def test_the_summary_of_a_step(quick_cli, files, tmp_path, monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "step.md"))
    (tmp_path / "step.md").write_text("# Before\n")
    quick_cli("check", *files)
    assert (tmp_path / "step.md").read_text().startswith("# Before\n**Inconclusive")
    for place, why in (
        (tmp_path, "Is a directory"),
        ("/dev/full", "No space left"),
        (tmp_path / "no/x", "No such file"),
    ):
        monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(place))
        process = quick_cli("check", *files)
        assert_refused(process, f"$GITHUB_STEP_SUMMARY, {place}: {why}")
        assert "Inconclusive" in process.stdout


def test_a_metric_has_one_margin(quick_cli, files):
    process = quick_cli("check", *files, "--margin", "lpips=0.1", "--margin", "lpips=0.2")
    assert_refused(process, "--margin lpips=0.2: lpips already has a margin")


def test_the_history_of_a_baseline_holds_text(quick_cli, files, tmp_path):
    reason = "<b>better</b>\n# `x` [y](z)"
    process = quick_cli("check", *files, "--update-baseline", "--reason", reason)
    assert process.returncode == 0, process.stderr
    history = (tmp_path / "old.md").read_text()
    html = MarkdownIt("commonmark").render(history)
    assert set(re.findall(r"<(\w+)", html)) == {"h1", "ul", "li", "code"}
    assert "&lt;b&gt;better&lt;/b&gt; # `x` [y](z) (6 rows" in html
    assert_refused(quick_cli("check", files[0], "--baseline", "x.md", "--update-baseline", "--reason", "r"), "x.md")
    assert not (tmp_path / "x.md").exists()
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]
