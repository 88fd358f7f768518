from __future__ import annotations

import gzip
import io
import re
import zipfile

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sg2bench import csv_files

GOOD = "name,value\ncat,0.5\ndog,1.5\n"


def packed(text):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("r.csv", text)
    return file.getvalue()


@pytest.fixture
def read(tmp_path):
    def call(content):
        path = tmp_path / "r.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return csv_files.read(path, "names")

    return call


@pytest.mark.parametrize(
    "content",
    [
        GOOD,
        GOOD.encode("utf-8-sig"),
        GOOD.replace("\n", "\r\n"),
        GOOD.replace("\n", "\r"),
        "\n\n" + GOOD.replace("\ndog", "\n\n,\ndog") + "\n\n",
        'name,value\n"cat","0.5"\n"dog","1.5"',
    ],
)
def test_the_ways_in_which_programs_write_csv(read, content):
    table = read(content)
    assert table.to_numpy().tolist() == [["cat", "0.5"], ["dog", "1.5"]]
    assert list(table.columns) == ["name", "value"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a CSV of names: it is empty"),
        (b"\n\n", "not a CSV of names: it is empty"),
        (GOOD.encode("utf-16"), "not a CSV of names: it is text in UTF-16; save it again as CSV in UTF-8"),
        (GOOD.encode("utf-16-le"), "not a CSV of names: it is text in UTF-16"),
        (GOOD.encode("utf-32"), "not a CSV of names: it is text in UTF-16"),
        (GOOD.replace("dog", "chien é").encode("latin-1"), "line 3: not text in UTF-8; save it again as CSV in UTF-8"),
        (GOOD.replace(",", ";").replace(".", ","), "cells are separated by semicolons instead of commas"),
        (GOOD.replace(",", "\t"), "cells are separated by tabs instead of commas"),
        (packed(GOOD), "it is compressed, or a spreadsheet's own format; unpack it, or save it as CSV"),
        (gzip.compress(GOOD.encode(), mtime=0), "it is compressed"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "it is binary"),
        (GOOD + "cow\n", "line 4: not a CSV of names: it has 1 cells, the header 2"),
        (GOOD + "cow,1,2\n", "line 4: not a CSV of names: it has 3 cells, the header 2"),
        (GOOD + '"cow,1\n', "line 4: not a CSV of names: unexpected end of data"),
        (GOOD + f"{'x' * 200_000},1\n", "line 4: not a CSV of names: field larger than field limit"),
        (GOOD.replace("value", "name"), "column 'name' appears twice"),
    ],
)
def test_what_is_no_csv_is_refused_with_the_reason(read, content, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        read(content)


def test_what_cannot_be_opened_is_refused(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="none.csv: no such file"):
        csv_files.read(tmp_path / "none.csv", "names")
    with pytest.raises(ValueError, match=f"{tmp_path}: Is a directory"):
        csv_files.read(tmp_path, "names")
    monkeypatch.setattr(csv_files, "_MOST_BYTES", 10)
    (tmp_path / "r.csv").write_text(GOOD)
    with pytest.raises(ValueError, match="r.csv: not a CSV of names: larger than 10 bytes"):
        csv_files.read(tmp_path / "r.csv", "names")


def test_lines_are_counted_as_an_editor_counts_them(read):
    assert read('name,value\n\n"two\nlines",1\ncat,2\n').index.tolist() == [3, 5]


@given(st.lists(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"])), min_size=3, max_size=3), min_size=1))
def test_cells_survive(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("csv") / "r.csv"
    pd.DataFrame(rows, columns=["a", "b", "c"]).assign(number=1).to_csv(path, index=False)
    assert csv_files.read(path, "rows")[["a", "b", "c"]].to_numpy().tolist() == rows


def test_columns_and_cells(read, tmp_path):
    table = read(GOOD)
    csv_files.refuse_columns(tmp_path, table, ["name"], ["value", "more"], "advice")
    with pytest.raises(ValueError, match="column more is missing; advice"):
        csv_files.refuse_columns(tmp_path, table, ["name", "value", "more"], [], "advice")
    with pytest.raises(ValueError, match="column 'value' is unknown; advice"):
        csv_files.refuse_columns(tmp_path, table, ["name"], [], "advice")
    forms = {"value": (csv_files.NUMBER, "a number")}
    csv_files.refuse_cells(tmp_path, table, forms)
    for cell, message in (("1,5", "'1,5', expected a number; use a decimal point"), ("x" * 99, f"'{'x' * 60}…'")):
        with pytest.raises(ValueError, match=f"line 3: value is {re.escape(message)}"):
            csv_files.refuse_cells(tmp_path, table.replace("1.5", cell), forms)
