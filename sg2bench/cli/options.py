"""What commands share: options, the two consoles, the device."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

console = Console()
errors = Console(stderr=True)

ExperimentFile = Annotated[Path, typer.Argument(help="Experiment in YAML.")]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a key, as train.steps=200.")
]
Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:N, or auto: a GPU where there is one.")]
Protocol = Annotated[str | None, typer.Option(help="offline, standard or paper, in place of the experiment's.")]
Runs = Annotated[Path, typer.Option(help="Folder that holds the run folders.")]


def settings(protocol: str | None, set_: list[str] | None) -> list[str]:
    """Overrides of an experiment: a protocol with its usual metrics, then what `--set` says."""
    from sg2bench.config import METRICS

    if protocol is not None and protocol not in METRICS:
        raise ValueError(f"--protocol {protocol}: expected {', '.join(METRICS)}")
    usual = [f"evaluate.protocol={protocol}", "evaluate.metrics=[]"] if protocol else []
    return [*usual, *(set_ or [])]


def device(name: str) -> Any:
    import torch

    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise ValueError(f"--device {name}: expected cpu, cuda, cuda:N or auto")
    found = torch.device(name)
    if found.type == "cuda":
        if (found.index or 0) >= torch.cuda.device_count():
            number = torch.cuda.device_count() or "no"
            raise ValueError(f"--device {name}: torch sees {number} CUDA device; use another, or --device cpu")
        torch.backends.cudnn.allow_tf32 = False  # rows say float32
    return found


def command() -> str:
    return shlex.join(["sg2bench", *sys.argv[1:]])


def print_plain(text: str) -> None:
    """Lines as they are, to be copied: neither wrapped nor coloured."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def print_table(frame: Any, columns: list[str]) -> None:
    table = Table(*columns, box=None)
    for row in frame[columns].itertuples(index=False):
        table.add_row(*(f"{cell:.4g}" if isinstance(cell, float) else str(cell) for cell in row))
    console.print(table)
