"""What the pages of docs/ hold."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parent.parent


def text(page):
    return (ROOT / "docs" / page).read_text()


def blocks(page, language):
    return re.findall(rf"```{language}\n(.*?)```", text(page), re.S)


def commands(page, program="sg2bench"):
    """Lines of the page's sh blocks that call the program, split."""
    lines = "".join(blocks(page, "sh")).splitlines()
    return [shlex.split(line)[1:] for line in lines if line.startswith(program)]
