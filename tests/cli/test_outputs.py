"""`--out` of rows: devices, pipes and links are written to as they are; what cannot be written is known at once."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from sg2bench import api, rows
from tests.cli.test_cli import assert_refused
from tests.tables import table

COMMAND = ("evaluate", "x.ckpt", "--experiment", "smoke", "--out")
TO_STANDARD_OUTPUT = """
import sys
import pandas as pd
from sg2bench import api
from sg2bench.cli import main

api.evaluate = lambda *_, **__: pd.read_csv("rows.csv")
main()
"""


@pytest.fixture
def measured(tiny, monkeypatch, tmp_path):
    """Rows that take no time to measure."""
    made = table(tiny)
    monkeypatch.setattr(api, "evaluate", lambda *_, **__: made)
    rows.write(made, tmp_path / "rows.csv")
    return made


def test_devices_pipes_and_links(quick_cli, measured, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    (tmp_path / "link.csv").symlink_to("linked.csv")
    for out in ("/dev/null", "pipe", "link.csv", "new/folder/rows.csv"):
        process = quick_cli(*COMMAND, out)
        assert process.returncode == 0, process.stderr
        assert process.stdout.endswith(f"All 6 rows: {out}\n")
    assert not Path("/dev/null").is_file()
    assert len(pd.read_csv(io.BytesIO(os.read(reader, 100_000)))) == len(measured)
    os.close(reader)
    assert (tmp_path / "link.csv").is_symlink()
    for out in ("linked.csv", "new/folder/rows.csv"):
        assert len(rows.read(tmp_path / out)) == len(measured)


@pytest.mark.parametrize("sink", [subprocess.PIPE, "file"])
def test_standard_output(measured, tmp_path, sink):
    command = [sys.executable, "-c", TO_STANDARD_OUTPUT, *COMMAND, "/dev/stdout"]
    if sink == "file":
        with (tmp_path / "stdout").open("w") as file:
            process = subprocess.run(command, cwd=tmp_path, stdout=file, stderr=subprocess.PIPE, text=True, check=False)
        text = (tmp_path / "stdout").read_text()
    else:
        process = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        text = process.stdout
    assert (process.returncode, process.stderr) == (0, "")
    assert text.startswith((tmp_path / "rows.csv").read_text())


def test_a_place_that_cannot_be_written_is_refused_before_anything_is_measured(quick_cli, monkeypatch, tmp_path):
    monkeypatch.setattr(api, "evaluate", lambda *_, **__: pytest.fail("measured"))
    (tmp_path / "file").touch()
    for out, why in ((tmp_path, "is a folder; name a CSV file"), (tmp_path / "file/x.csv", ""), ("/proc/x/y.csv", "")):
        assert_refused(quick_cli(*COMMAND, out), f"sg2bench: --out {out}: {why}")


def test_a_file_to_read_is_never_overwritten(quick_cli, tmp_path):
    for name in ("e.yaml", "x.ckpt"):
        (tmp_path / name).write_text("name: e\n")
    (tmp_path / "link.csv").symlink_to("e.yaml")
    for out in ("e.yaml", "x.ckpt", "link.csv"):
        for command in (("evaluate", "x.ckpt"), ("score", "--real", "real", "--fake", "fake")):
            if (out, command[0]) != ("x.ckpt", "score"):
                process = quick_cli(*command, "--experiment", "e.yaml", "--out", out)
                assert_refused(process, f"--out {out}: would overwrite an input")
    assert (tmp_path / "e.yaml").read_text() == (tmp_path / "x.ckpt").read_text() == "name: e\n"


def test_only_rows_are_replaced(quick_cli, measured, tmp_path):
    for name in ("image.png", "factors.csv", "config.yaml"):
        (tmp_path / name).write_text("file,label\n")
        assert_refused(quick_cli(*COMMAND, name), f"--out {name}: holds something other than result rows")
        assert (tmp_path / name).read_text() == "file,label\n"
    (tmp_path / "empty.csv").touch()
    for name in ("rows.csv", "empty.csv"):
        (tmp_path / "config.yaml").unlink(missing_ok=True)
        assert quick_cli(*COMMAND, name).returncode == 0
    for name, beside, whose in (("rows.csv", "config.yaml", "a run"), ("results.csv", "experiment.yaml", "a study")):
        rows.write(measured[:3], tmp_path / name)
        (tmp_path / beside).touch()
        assert_refused(quick_cli(*COMMAND, name), f"--out {name}: holds the rows of {whose}; name another file")
        assert len(rows.read(tmp_path / name)) == 3


def test_a_full_device_is_named(quick_cli, measured):
    assert_refused(quick_cli(*COMMAND, "/dev/full"), "No space left on device: '/dev/full'")
