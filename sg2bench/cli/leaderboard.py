"""leaderboard add."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sg2bench.cli import options

app = typer.Typer(name="leaderboard", help="The leaderboard over all experiments.", no_args_is_help=True)
app.callback()(lambda: None)


@app.command()
@options.expands_home
def add(
    results: Annotated[list[Path], typer.Argument(help="One or more results.csv.")],
    out: Annotated[Path, typer.Option(help="Folder for leaderboard.csv, .md and .html.")] = Path("reports"),
    command: Annotated[
        str | None, typer.Option(help="Command that made the rows, if no experiment.yaml in their folder records it.")
    ] = None,
) -> None:
    """Merge rows, your own or others', into the leaderboard of all experiments. A bad row is refused with its line."""
    from sg2bench.report import leaderboard

    page, new, replaced = leaderboard.add(results, out, command)
    options.print_plain(page.with_suffix(".md").read_text(encoding="utf-8"))
    options.print_plain(f"{new} rows added, {replaced} replaced. Leaderboard: {page}")
