"""tensorboard."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sg2bench.cli import options


def tensorboard(
    runs: Annotated[Path, typer.Argument(help="Folder that holds the run folders.")],
    out: Annotated[Path | None, typer.Option(help="Folder for the event files; default: the run folders.")] = None,
) -> None:
    """Write TensorBoard event files of runs: loss terms, overall values, sample grids. Needs `pip install tensorboard`.

    Works while runs are training; run it again for new data.
    """
    from sg2bench.runs import tensorboard as writer

    folders = writer.write(runs, out or runs)
    options.print_plain(f"Runs: {len(folders)}. View them with: tensorboard --logdir {out or runs}")
