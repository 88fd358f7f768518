from __future__ import annotations

import numpy as np
import pytest

from sg2bench.data import folder as folder_sets
from sg2bench.evaluation import fake_references, fakes
from tests.evaluation.test_fakes import draw

LINES = ["cat2dog/a_1.png,x", "cat2dog/a_2.png,y.png", "cat2dog/b_1.png,y", "cat2dog/b_2.png,x"]


@pytest.fixture
def real(tmp_path):
    files = [(s, d, stem) for s in ("train", "val") for d, stems in (("cat", "abc"), ("dog", "xy")) for stem in stems]
    for seed, (split, domain, stem) in enumerate(files):
        draw(tmp_path / f"real/{split}/{domain}/{stem}.png", seed)
    return folder_sets.load_real(tmp_path / "real")


@pytest.fixture
def folder(tmp_path):
    for stem in ("a_1", "a_2", "b_1", "b_2"):
        draw(tmp_path / f"fakes/cat2dog/{stem}.png")
    return tmp_path / "fakes"


def read(folder, real, *lines, header="file,reference"):
    (folder / "references.csv").write_text("\n".join([header, *lines, ""]))
    return fake_references.read(folder, fakes.read(folder, real), real)


def test_indices_by_source_and_output_in_any_order_of_the_lines(folder, real):
    for lines in (LINES, LINES[::-1]):
        np.testing.assert_array_equal(read(folder, real, *lines)["cat", "dog"], [[0, 1], [1, 0]])


def test_no_file_no_references(folder, real):
    assert fake_references.read(folder, fakes.read(folder, real), real) is None


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (LINES[:3], "has no line for cat2dog/b_2.png"),
        ([*LINES[:3], "cat2dog/b_2.png,a"], "line 5: val/dog has no image 'a'"),
        ([*LINES, "cat2dog/c_1.png,x"], "line 6: there is no fake 'cat2dog/c_1.png'"),
        ([*LINES, LINES[0]], "line 6: an earlier line names the same file"),
        (["cat2dog/a_1.png"], "line 2: not a CSV of references: it has 1 cells, the header 2"),
    ],
)
def test_what_does_not_fit_is_named_by_its_line(folder, real, lines, message):
    with pytest.raises(ValueError, match=message):
        read(folder, real, *lines)


def test_other_columns_are_refused(folder, real):
    with pytest.raises(ValueError, match="column reference is missing; expected the columns file and reference"):
        read(folder, real, *LINES, header="file,style")


def test_a_name_that_two_references_share_needs_its_extension(tmp_path, folder, real):
    draw(tmp_path / "real/val/dog/x.webp", 99)
    real = folder_sets.load_real(tmp_path / "real")
    with pytest.raises(ValueError, match="line 2: val/dog has no image 'x', or several with other extensions"):
        read(folder, real, *LINES)
    lines = [line.replace(",x", ",x.webp") for line in LINES]
    np.testing.assert_array_equal(read(folder, real, *lines)["cat", "dog"], [[1, 2], [2, 1]])
