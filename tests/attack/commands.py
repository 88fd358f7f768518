"""Command lines that people mistype and attackers think of, within this process."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

from sg2bench.cli import main
from tests.attack.base import WORDS, Attempt

_COMMANDS = {
    "ablate": ("--set", "--protocol", "--workers", "--device", "--runs", "--out"),
    "run": ("--variant", "--seed", "--set", "--device", "--runs"),
    "evaluate": ("--experiment", "--variant", "--seed", "--set", "--protocol", "--device", "--out"),
    "score": ("--real", "--fake", "--translator", "--experiment", "--variant", "--seed", "--mode", "--set", "--out"),
    "translate": ("--sources", "--references", "--latent-seeds", "--psi", "--frames", "--domains", "--out"),
    "report": ("--out",),
    "check": ("--baseline", "--margin", "--experiment", "--exact", "--bench", "--reason", "--markdown", "--json"),
    "experiments": ("--copy", "--out"),
    "tensorboard": ("--out",),
    "leaderboard add": ("--out", "--command"),
    "data fingerprint": ("--set",),
    "data draw": ("--out", "--experiment", "--set"),
    "data fetch": ("--out", "--tarballs"),
    "weights verify": (),
}
_VALUES = (
    *(word for word in WORDS if "\x00" not in word),
    "none.yaml",
    "none.csv",
    "smoke.yaml",
    ".",
    "folder",
    "a:b",
    "a=b",
)


def command_lines(rng: random.Random, folder: Path) -> Iterator[Attempt]:
    """Any command with any of its options and wrong values; nothing that would train."""
    while True:
        command = rng.choice([*_COMMANDS])
        words = command.split() + [rng.choice(_VALUES) for _ in range(rng.randrange(3))]
        for option in rng.sample(_COMMANDS[command], rng.randrange(len(_COMMANDS[command]) + 1)):
            words += [option, rng.choice(_VALUES)]
        if command in ("ablate", "run"):
            words += ["--device", "cuda:99"]
        yield Attempt(" ".join(map(repr, words)), lambda words=words: _run(words, folder))


def _run(words: list[str], folder: Path) -> None:
    """Raise ValueError where the program would end with exit code 2."""
    code: object = 0
    here = Path.cwd()
    os.chdir(folder)
    try:
        with patch.object(sys, "argv", ["sg2bench", *words]), patch("signal.signal"):
            main()
    except SystemExit as ended:
        code = ended.code or 0
    finally:
        os.chdir(here)
    if code == 2:
        raise ValueError("refused")
    if code:
        raise RuntimeError(f"exit code {code}")
