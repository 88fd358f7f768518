"""Tables in the pages of docs/, each between two marks, with the command that wrote it."""

from __future__ import annotations

import platform
from importlib.metadata import version
from pathlib import Path

import torch

from sg2bench import provenance

ROOT = Path(__file__).parent.parent
_LIBRARIES = ("torch-fidelity", "lpips", "prdc", "numpy")


def replace(text: str, mark: str, content: str) -> str:
    """Replace the content between two marks of a page. Raises ValueError if they are missing."""
    before, begin, rest = text.partition(f"<!-- {mark} -->")
    _, end, after = rest.partition(f"<!-- /{mark} -->")
    if not begin or not end:
        raise ValueError(f"the page lacks the marks <!-- {mark} --> and <!-- /{mark} -->")
    return f"{before}{begin}\n{content}\n{end}{after}"


def write_table(page: str, mark: str, table: str, command: str) -> None:
    """Write a table between the marks of a page of docs/, with command, machine and versions."""
    path = ROOT / "docs" / page
    versions = ", ".join([f"torch {torch.__version__}", *(f"{name} {version(name)}" for name in _LIBRARIES)])
    made = f"Written by `{command}` ({provenance.processor()}, {platform.system()}; {versions})."
    text = replace(path.read_text(encoding="utf-8"), mark, f"{table}\n\n{made}")
    path.write_text(text, encoding="utf-8")
