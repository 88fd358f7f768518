"""What is printed is what was said: no markup, no emoji codes, no escape codes, whatever a name or a file holds."""

from __future__ import annotations

import ast
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sg2bench import api, texts
from sg2bench.cli import options
from tests.cli.test_cli import assert_refused

PACKAGE = Path(options.__file__).parents[1]
MARKED = ["[/x]", "[red]r[/red]", "[link x]y[/link]", ":cat:", "[bold", "\\[x]", "[/]", "a\\"]
PRINTERS = {"cli/options.py", "runs/progress.py", "runs/worker.py", "runs/perform.py", "gate/output.py"}


def test_commands_print_in_one_way():
    """By the functions of `cli.options`; a run's process, the table of runs and GitHub's lines apart."""
    found = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and (getattr(node.func, "id", "") or getattr(node.func, "attr", "")) == "print"
    }
    assert found == PRINTERS


@given(st.text())
def test_any_text_is_printed_as_it_is(text):
    for text_of, printed, console in (
        (texts.visible, options.print_plain, options.console),
        (texts.one_line, options.print_note, options.errors),
    ):
        with console.capture() as capture:
            printed(text)
        assert capture.get() == text_of(text) + "\n"


@pytest.mark.parametrize("name", MARKED)
def test_names_of_files_are_printed_as_they_are(quick_cli, name):
    where = f"{name}.csv"
    for command in (("check", where, "--baseline", where), ("report", where), ("leaderboard", "add", where)):
        assert_refused(quick_cli(*command), f"sg2bench: {where}: no such file")
    assert_refused(quick_cli("ablate", f"{name}.yaml"), f"{name}.yaml: no such experiment file")
    assert_refused(quick_cli("data", "fingerprint", "smoke", "--set", f"data.{name}=1"), f"data.{name}")
    assert_refused(quick_cli("bench", "--device", name), f"--device {name}: expected cpu")


def test_control_characters_of_files_stay_out_of_the_terminal(quick_cli, tmp_path):
    name = "\x1b]0;title\x07\x1b[2J\nsg2bench: all is well\r"
    process = quick_cli("check", f"{name}.csv", "--baseline", "b.csv")
    assert_refused(process, "�]0;title��[2J sg2bench: all is well")
    assert process.stderr.count("\n") == 1
    (tmp_path / "x.yaml").write_text('"\\e[31m": 1\n')
    process = quick_cli("ablate", "x.yaml")
    assert_refused(process, "�[31m")
    assert "\x1b" not in process.stderr + process.stdout


@pytest.mark.parametrize("name", [":cat:", "chat (é)", "猫", "a\\b", "it's {x}"])
def test_domains_are_printed_as_they_are(quick_cli, tmp_path, name):
    rng = np.random.default_rng(0)
    for place in (f"images/{split}/{domain}" for split in ("train", "val") for domain in (name, "zzz")):
        (tmp_path / place).mkdir(parents=True)
        for number in range(2):
            Image.fromarray(rng.integers(256, size=(32, 32, 3), dtype=np.uint8)).save(
                tmp_path / place / f"{number}.png"
            )
    (tmp_path / "x.yaml").write_text("data: {source: folder, root: images}\nmodel: {image_size: 32}\n")
    process = quick_cli("data", "fingerprint", "x.yaml")
    assert process.returncode == 0, process.stderr
    assert name in process.stdout + process.stderr


@pytest.mark.parametrize("name", MARKED)
def test_warnings_are_printed_as_they_are(quick_cli, monkeypatch, name):
    def warn(*_, **__):
        warnings.warn(f"{name} \x1b[31m\nis odd", stacklevel=1)
        raise ValueError(f"{name} \x9b is wrong")

    monkeypatch.setattr(api, "check", warn)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        process = quick_cli("check", "a.csv", "--baseline", "b.csv")
    assert process.stderr == f"warning: {name} �[31m is odd\nsg2bench: {name} � is wrong\n"


def test_the_command_that_rows_carry_is_one_line(monkeypatch):
    monkeypatch.setattr("sys.argv", ["sg2bench", "ablate", "x\ny: 1\n", "\x1b[31m"])
    assert options.command() == "sg2bench ablate 'x y: 1 ' '�[31m'"
