"""Two runs compared by a reader: the page in a browser, and what its choices say."""

from __future__ import annotations

import math
import shutil

import pandas as pd
import pytest
import torch

import sg2bench
from sg2bench.models import checkpoints
from sg2bench.models.networks import Networks
from sg2bench.report import blind
from sg2bench.runs import plan
from sg2bench.statistics import wilson
from tests.cli.test_cli import assert_refused

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
WIDTHS = (390, 1440)


@pytest.fixture
def runs(tiny, tmp_path, monkeypatch):
    """The folders of two runs with networks that were not trained."""
    monkeypatch.chdir(tmp_path)
    folders = []
    for status in plan.plan(tiny, tmp_path / "runs"):
        plan.write([status])
        torch.manual_seed(len(folders))
        checkpoints.save_ema(Networks(tiny.model, 3), status.job.folder, 4)
        folders.append(status.job.folder)
    return folders


def test_wilson_intervals_that_are_known():
    """Newcombe 1998, table 1: 81 of 263, 15 of 148, 0 of 20 and 1 of 29."""
    known = {(81, 263): (0.2553, 0.3662), (15, 148): (0.0624, 0.1605), (0, 20): (0, 0.1611), (1, 29): (0.0061, 0.1718)}
    for counts, ends in known.items():
        assert wilson(*counts) == pytest.approx(ends, abs=5e-5)
    assert wilson(0, 0) == (0, 1)


@pytest.fixture
def visit(tmp_path):
    """Opens a page; at the end holds that nothing was logged, and nothing but the file was asked for."""
    sync_api = pytest.importorskip("playwright.sync_api")
    if BROWSER is None:
        pytest.skip("no Chromium")
    messages, requests = [], []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])

        def open_page(path, width=1440):
            page = browser.new_page(viewport={"width": width, "height": 850})
            page.on("console", lambda message: messages.append(message.text))
            page.on("pageerror", lambda error: messages.append(str(error)))
            page.on("request", lambda request: requests.append(request.url))
            page.goto(path.as_uri())
            return page

        yield open_page
        browser.close()
    assert messages == []
    assert {url.partition(":")[0] for url in requests} <= {"file", "data", "blob"}


def test_a_reader_chooses_by_key_and_python_reads_the_same(runs, tmp_path, visit, quick_cli):
    table = sg2bench.compare_blind(*runs, pairs=6, seed=3, out=tmp_path / "blind.html")
    assert set(table["left"]) == {"full/seed-0", "no_ds/seed-0"}
    text = (tmp_path / "blind.html").read_text()
    assert "no_ds" not in text
    page = visit(tmp_path / "blind.html")
    assert page.locator("#place").inner_text() == "pair 1 of 6"
    before = page.locator("#left").get_attribute("src")
    page.keyboard.press("ArrowRight")
    assert page.locator("#left").get_attribute("src") != before
    page.keyboard.press("Backspace")
    assert page.locator("#left").get_attribute("src") == before
    for left in table["left"][:4]:  # `full` whichever side it is on, but once
        page.keyboard.press("ArrowLeft" if left == "full/seed-0" else "ArrowRight")
    page.keyboard.press("ArrowDown")
    page.get_by_role("button", name="Left output").click()
    assert page.locator("#judge").is_hidden()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save the choices").click()
    assert download.value.suggested_filename == "choices-3.csv"
    download.value.save_as(tmp_path / "choices.csv")
    saved = pd.read_csv(tmp_path / "choices.csv")
    assert tuple(saved) == blind.COLUMNS
    assert saved[["source", "reference", "left", "right"]].equals(table)
    assert saved["choice"].tolist()[-2:] == ["tie", "left"]
    found = sg2bench.read_choices(tmp_path / "choices.csv").set_index("run").loc["full/seed-0"]
    preferred = 4 + (table["left"][5] == "full/seed-0")
    assert (found["preferred"], found["decided"], found["ties"]) == (preferred, 5, 1)
    assert (found["ci_low"], found["ci_high"]) == wilson(preferred, 5)
    shown = page.locator("#done tbody tr").first.inner_text().split("\t")
    low, high = (f"{100 * end:.1f}" for end in wilson(preferred, 5))
    assert shown == ["full/seed-0", f"{preferred} of 5", f"{100 * preferred / 5:.1f} %", f"{low} to {high} %"]
    process = quick_cli("compare", "--answers", tmp_path / "choices.csv")
    assert process.returncode == 0, process.stderr
    assert f"full/seed-0   {preferred}          5        1" in process.stdout


@pytest.mark.parametrize("width", WIDTHS)
def test_the_page_fits(runs, tmp_path, visit, width):
    sg2bench.compare_blind(*runs, pairs=2, out=tmp_path / "blind.html")
    page = visit(tmp_path / "blind.html", width)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.locator("#right").evaluate("image => image.complete && image.naturalWidth") == 32
    page.get_by_role("button", name="stop here").click()
    assert page.get_by_role("button", name="Save the choices").is_disabled()
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.get_by_role("button", name="Continue").click()
    assert page.locator("#place").inner_text() == "pair 1 of 2"


def write(path, choices, left="full/seed-0", right="no_ds/seed-0"):
    lines = [f"{n},cat/1,dog/{n},{left},{right},{choice}\n" for n, choice in enumerate(choices)]
    path.write_text(f"{','.join(blind.COLUMNS)}\n{''.join(lines)}")
    return path


def test_choices_of_several_readers_are_counted_together(tmp_path):
    files = [write(tmp_path / "a.csv", ["left"] * 8 + ["right"] * 2), write(tmp_path / "b.csv", ["tie", "left"])]
    first, second = sg2bench.read_choices(files).to_dict("records")
    assert (first["preferred"], first["decided"], first["ties"]) == (9, 11, 1)
    assert second["preferred"] == 2
    assert first["share"] == pytest.approx(1 - second["share"]) == 9 / 11
    assert first["ci_low"] == pytest.approx(1 - second["ci_high"])
    ties = sg2bench.read_choices(write(tmp_path / "c.csv", ["tie"]))
    assert math.isnan(ties["share"][0])
    assert (ties["ci_low"][0], ties["ci_high"][0]) == (0, 1)


def test_choices_are_not_counted_twice(tmp_path, quick_cli):
    file = write(tmp_path / "a.csv", ["left"] * 5)
    assert_refused(quick_cli("compare", "--answers", file, "--answers", "a.csv"), "a file of choices is named twice")
    for option in (("--pairs", 7), ("--seed", 3), ("--out", "page.html")):
        assert_refused(quick_cli("compare", "--answers", file, *option), f"{option[0]} is for --blind")


def test_no_choices():
    with pytest.raises(ValueError, match="name at least one file of choices"):
        sg2bench.read_choices([])


def test_choices_about_other_runs_are_named(tmp_path):
    files = [write(tmp_path / name, ["left"]) for name in ("a.csv", "b.csv")]
    files[1].write_text(files[1].read_text().replace("no_ds", "no_cyc"))
    with pytest.raises(
        ValueError, match=r"b.csv: is about full/seed-0 and no_cyc/seed-0, .*a.csv about full/seed-0 and"
    ):
        sg2bench.read_choices(files)


def test_choices_that_the_page_did_not_save_are_refused(tmp_path):
    for change, message in (
        (lambda text: text.replace("left\n", "best\n", 1), "line 2: choice is 'best', expected left, right or tie"),
        (lambda text: text.replace("1,cat/1", "0,cat/1"), "line 3: an earlier line has the same pair"),
        (lambda text: text.replace("no_ds/seed-0", "full/seed-0"), "line 2: both sides are the same run"),
        (lambda text: text.replace("0,cat/1,dog/0,full", "0,cat/1,dog/0,other"), "between two runs, found full"),
        (lambda text: text.partition("\n")[0] + "\n", "holds no choices"),
        (lambda text: text.replace("choice", "chosen"), "column choice is missing"),
    ):
        file = write(tmp_path / "bad.csv", ["left", "right"])
        file.write_text(change(file.read_text()))
        with pytest.raises(ValueError, match=message):
            sg2bench.read_choices(file)


def test_what_cannot_be_compared(runs, tmp_path, quick_cli):
    full, no_ds = runs
    for arguments, message in (
        ((full, full), "compare two variants, or two seeds"),
        ((full, tmp_path), "not a run's folder, such as runs/critters/full/seed-0: it has no config.yaml"),
        ((full, tmp_path / "none"), "no such run folder or checkpoint"),
    ):
        with pytest.raises(ValueError, match=message):
            sg2bench.compare_blind(*arguments)
    shutil.copy(full / "000004_nets_ema.ckpt", tmp_path / "000004_nets_ema.ckpt")
    with pytest.raises(ValueError, match="is not in a run's folder"):
        sg2bench.compare_blind(full, tmp_path / "000004_nets_ema.ckpt")
    (no_ds / "000004_nets_ema.ckpt").unlink()
    with pytest.raises(ValueError, match="is missing; the run is not finished"):
        sg2bench.compare_blind(full, no_ds)
    for arguments in ((), (full, "--blind"), (full, no_ds), (full, no_ds, "--blind", "--answers", "x.csv")):
        process = quick_cli("compare", *arguments)
        assert process.returncode == 2
        assert "give two runs and --blind, or --answers CSV" in process.stderr
