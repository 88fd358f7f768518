"""compare."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sg2bench.cli import options


def compare(
    runs: Annotated[
        list[Path] | None, typer.Argument(metavar="RUN", help="Two run folders, or checkpoints in them.")
    ] = None,
    blind: Annotated[bool, typer.Option("--blind", help="Write the page.")] = False,
    pairs: Annotated[int | None, typer.Option(min=1, help="Pairs of outputs on the page; default: 30.")] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Seed that draws the pairs and the sides; default: 0.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The page to write; default: blind.html.")] = None,
    answers: Annotated[
        list[Path] | None, typer.Option(metavar="CSV", help="Choices saved by the page, to be counted; repeatable.")
    ] = None,
    device: options.Device = "auto",
) -> None:
    """Let a reader choose between the outputs of two runs without knowing which is which.

    --blind writes a self-contained page that shows outputs of both runs for the same sources and references and saves
    the choices. --answers counts which run was preferred, with a 95 % interval.
    """
    from sg2bench import comparison

    if bool(answers) == blind or (blind and len(runs or []) != 2) or (answers and runs):
        raise ValueError("give two runs and --blind, or --answers CSV")
    if answers:
        for option, value in (("--pairs", pairs), ("--seed", seed), ("--out", out)):
            if value is not None:
                raise ValueError(f"{option} is for --blind; leave it out")
        found = comparison.read_choices(answers)
        options.print_table(found, ["run", "preferred", "decided", "ties", "share", "ci_low", "ci_high"])
        return
    first, second = runs or []
    page = out or Path("blind.html")
    shown = comparison.compare_blind(first, second, pairs=pairs or 30, seed=seed or 0, out=page, device=device)
    options.print_plain(
        f"{len(shown)} pairs: {page}; open it in a browser. It saves the choices for sg2bench compare --answers."
    )
