"""What lies with the rows may be another's: it is what it is called, or the report is refused before it is begun."""

from __future__ import annotations

import os
import struct
import time
import zlib

import pytest
from PIL import Image

from sg2bench.report import leaderboard, write

pytestmark = pytest.mark.usefixtures("without_plots")
CURVES = "step,g_latent/adv,variant,seed\n1,0.5,full,0\n2,,full,0\n"
SECRET = "of no concern to a report"


@pytest.fixture
def refused(folder):
    """Holds that a report of the folder is refused at once with these words, and nothing is written."""

    def call(*words):
        for out in (folder / "out", folder / "in"):
            before = sorted(folder.rglob("*"))
            start = time.monotonic()
            with pytest.raises(ValueError) as error:
                write.write(folder / "in/results.csv", out, "x")
            assert time.monotonic() - start < 5
            assert sorted(folder.rglob("*")) == before
            for word in words:
                assert word in str(error.value)
            assert "\n" not in str(error.value)

    return call


@pytest.mark.parametrize("name", ["grids/full-latent.png", "grids/no_ds-latent.png", "curves.csv", "experiment.yaml"])
def test_a_link_out_of_the_folder_is_not_followed(folder, refused, name):
    (folder / "secret").write_text(SECRET)
    path = folder / "in" / name
    for target in (folder / "secret", "/dev/zero", "/etc/passwd", folder / "nowhere"):
        path.unlink(missing_ok=True)
        path.symlink_to(target)
        refused(f"{path}: is a link that leads out of")


def test_nor_is_a_folder_that_is_a_link(folder, refused):
    (folder / "in/grids").rename(folder / "elsewhere")
    (folder / "in/grids").symlink_to(folder / "elsewhere")
    refused("full-latent.png: is a link that leads out of")


def test_a_link_within_the_folder_is(folder):
    (folder / "in/grids/no_ds-latent.png").symlink_to("full-latent.png")
    page = write.write(folder / "in/results.csv", folder / "out", "x")
    assert page.read_text().count('data-variant="no_ds"') == 1


@pytest.mark.parametrize("name", ["grids/full-latent.png", "curves.csv", "experiment.yaml"])
def test_folders_and_pipes_are_no_files(folder, refused, name):
    path = folder / "in" / name
    path.unlink()
    path.mkdir()
    refused(f"{path}: is not a regular file")
    path.rmdir()
    os.mkfifo(path)
    refused(f"{path}: is not a regular file")


def png(width, height, rest=b""):
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(b"\0" * 100))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + data + rest + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<script>alert(1)</script>",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%!PS-Adobe-3.0 EPSF-3.0",
        b"GIF89a",
        png(64, 64)[:40],
        png(64, 64).replace(b"IDAT", b"IDAX"),
        png(100_000, 100_000),
        png(2**31 - 1, 1),
    ],
)
def test_a_grid_is_a_png_of_a_size_that_can_be_shown(folder, refused, content):
    (folder / "in/grids/full-latent.png").write_bytes(content)
    refused("full-latent.png: not a sample grid in PNG")


def test_the_largest_grid_that_runs_draw_is_taken_without_a_warning(folder):
    """Eight domains of 512 px: 111 million pixels."""
    Image.new("L", (25 * 512, 17 * 512 + 4)).save(folder / "in/grids/full-latent.png")
    write.write(folder / "in/results.csv", folder / "out", "x")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (CURVES.replace("0.5", "inf"), "line 2: g_latent/adv is 'inf', expected a number, or nothing"),
        (CURVES.replace("0.5", "1e99"), "line 2: a loss is beyond 1e+39"),
        (CURVES.replace("0.5", "=1+1"), "line 2: g_latent/adv is '=1+1', expected a number"),
        (CURVES.replace("1,0.5", "1.5,0.5"), "line 2: step is '1.5', expected a whole number"),
        (CURVES.replace("1,0.5", "-1,0.5"), "line 2: step is '-1', expected a whole number"),
        (CURVES.replace("full,0", "full,zero"), "line 2: seed is 'zero', expected a whole number"),
        (CURVES.replace("full", "=HYPERLINK(1)"), "line 2: variant is '=HYPERLINK(1)', expected the name of a variant"),
        (CURVES.replace("full", "<b>"), "line 2: variant is '<b>', expected the name of a variant"),
        (CURVES.replace("g_latent/adv", "=1+1"), "column '=1+1' is unknown"),
        (CURVES.replace("g_latent/adv", "<script>"), "column '<script>' is unknown"),
        (CURVES.replace("g_latent/adv", "step"), "column 'step' appears twice"),
        (CURVES.replace(",", ";"), "cells are separated by semicolons"),
        ("step,variant,seed," + ",".join(f"t{i}" for i in range(200)) + "\n", "has 200 loss terms, more than 100"),
        (CURVES + "3,0.5\n", "line 4: not a CSV of training curves: it has 2 cells, the header 4"),
    ],
)
def test_curves_are_numbers_over_steps(folder, refused, content, message):
    (folder / "in/curves.csv").write_text(content)
    refused("curves.csv: ", message)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"x" * 2_000_000, "larger than"),
        (b"\xff\xfe", "not text in UTF-8"),
        (b"a: 1\na: 2\n", "`a` appears twice"),
        (b"a: &a [*a, *a]\nb: [*a, *a]", "too many entries"),
    ],
)
def test_an_experiment_is_a_small_mapping(folder, refused, content, message):
    (folder / "in/experiment.yaml").write_bytes(content)
    refused("experiment.yaml: ", message)
    with pytest.raises(ValueError, match="experiment.yaml"):
        leaderboard.add([folder / "in/results.csv"], folder / "board", "x")


@pytest.mark.parametrize("description", ["[a, b]", "{a: 1}", "5", "null", '"\\e[31m<b>"', "|\n  two\n  lines"])
def test_any_description_is_text(folder, description):
    (folder / "in/experiment.yaml").write_text(f"description: {description}\n")
    assert "<b>" not in write.write(folder / "in/results.csv", folder / "out", "x").read_text().split("<h2>")[0]


def test_rows_may_be_a_link_that_a_user_names(folder):
    (folder / "link.csv").symlink_to("in/results.csv")
    page = write.write(folder / "link.csv", folder / "out", "x")
    assert (page.parent / "results.csv").read_bytes() == (folder / "in/results.csv").read_bytes()
    assert not (page.parent / "results.csv").is_symlink()
