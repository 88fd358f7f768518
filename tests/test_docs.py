"""The commands of docs/ do what the pages say. Those of own-model.md: test_cli_score.py."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

ROOT = Path(__file__).parent.parent


def commands(page):
    """Lines of the page's sh blocks that call sg2bench, split."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / page).read_text(), re.S)
    return [shlex.split(line)[1:] for block in blocks for line in block.splitlines() if line.startswith("sg2bench")]


def test_gate(quick_cli, tmp_path):
    shutil.copytree(ROOT / "reports", tmp_path / "reports")
    of_seeds, exact, throughput, update = (quick_cli(*command) for command in commands("gate.md"))
    assert "192 pass" in exact.stdout
    for process in (of_seeds, exact, throughput, update):
        assert process.returncode == 0, process.stderr
    assert "first baseline" in (tmp_path / "baselines/critters.md").read_text()
