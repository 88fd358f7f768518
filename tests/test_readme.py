"""README's claims are those of the study, and its commands do what it says."""

from __future__ import annotations

import shutil

from tests.pages import blocks, commands, text
from tools.front import table
from tools.tables import replace


def shorter(*settings):
    return [part for setting in settings for part in ("--set", setting)]


def test_readme_is_short_and_its_claims_are_those_of_the_study():
    readme = text("../README.md")
    assert len(readme.splitlines()) <= 120
    assert replace(readme, "claims", table()) == readme


def test_readme(in_process, tmp_path):
    ablate, score, bench = commands("../README.md")
    one_run = shorter("variants={full: {}}", "seeds=[0]", "train.steps=1", "evaluate.sources=6", "claims=[]")
    assert in_process(*ablate, *one_run).returncode == 0
    assert in_process("data", "draw", "--out", "my-images", "--experiment", "smoke").returncode == 0
    shutil.copytree(tmp_path / "my-images/val/cat", tmp_path / "my-outputs/cat2dog")
    process = in_process(*score, *shorter("evaluate.resize=64"))
    assert process.returncode == 0, process.stderr
    quick = ("--batch", 1, "--execution", "eager", "--memory-format", "contiguous", "--max-seconds", 0.1)
    assert in_process(*bench, *quick).returncode == 0
    (program,) = blocks("../README.md", "python")
    exec(program, {})
