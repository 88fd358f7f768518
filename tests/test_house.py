"""The shape of the code: short files, short functions, instant imports."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted(path for folder in ("sg2bench", "tools", "tests") for path in (ROOT / folder).rglob("*.py"))
LONGEST_FILE, LONGEST_FUNCTION = 320, 60


def test_files_and_functions_are_short():
    long = []
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        place = path.relative_to(ROOT)
        if (lines := text.count("\n")) > LONGEST_FILE:
            long.append(f"{place}: {lines} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and (lines := node.end_lineno - node.lineno + 1) > LONGEST_FUNCTION:
                long.append(f"{place}:{node.lineno}: {node.name} has {lines} lines")
    assert not long


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import sg2bench", ("torch", "pandas", "numpy")),
        ("from sg2bench import check, write_report, gate, rows, report.write", ("torch", "torchvision")),
        ("import sg2bench.cli", ("torch", "scipy", "matplotlib")),
    ],
)
def test_what_an_import_leaves_alone(statement, absent):
    statement = statement.replace(", report.write", "; import sg2bench.report.write")
    loaded = f"{statement}; import sys; print(*(name for name in {absent!r} if name in sys.modules))"
    process = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert process.stdout.strip() == ""
