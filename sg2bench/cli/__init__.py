"""The command line: parses, calls, prints. A module holds the commands on one subject."""

from __future__ import annotations

import gc
import signal
import sys
import warnings
from collections.abc import Callable
from typing import Annotated

import typer

import sg2bench
from sg2bench.cli import data, experiments, models, options, pretrained, rows, throughput

app = typer.Typer(
    name="sg2bench",
    help="What each part of StarGAN v2 buys: ablations, FID and LPIPS per domain, report, gate, throughput.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
_TOP: tuple[Callable[..., None], ...] = (
    *(experiments.ablate, experiments.run, models.evaluate, models.score, models.translate),
    *(rows.report, rows.check, experiments.tensorboard, throughput.bench),
)
for command in _TOP:
    app.command()(command)

data_app = typer.Typer(help="Image sets: fetch, draw, fingerprint.", no_args_is_help=True)
for command in (data.fetch, data.draw, data.fingerprint):
    data_app.command()(command)
app.add_typer(data_app, name="data")

leaderboard_app = typer.Typer(help="The leaderboard over all experiments.", no_args_is_help=True)
leaderboard_app.callback()(lambda: None)
leaderboard_app.command()(rows.add)
app.add_typer(leaderboard_app, name="leaderboard")

weights_app = typer.Typer(help="Pretrained networks of the metrics: list, fetch, verify.", no_args_is_help=True)
weights_app.command("list")(pretrained.list_weights)
weights_app.command("fetch")(pretrained.fetch_weights)
weights_app.command("verify")(pretrained.verify_weights)
app.add_typer(weights_app, name="weights")


@app.callback(invoke_without_command=True)
def _version(version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False) -> None:
    if version:
        options.console.print(f"sg2bench {sg2bench.__version__}", highlight=False)
        raise typer.Exit


def main() -> None:
    """Run the command line: bad input ends in one clear line and exit code 2."""
    warnings.showwarning = lambda message, *_: options.errors.print(f"warning: {message}", style="yellow", markup=False)
    gc.set_threshold(100_000)  # importing torch makes a million objects and no garbage: a fifth of a run's start-up
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a cancelled CI job stops its runs, too
    try:
        app()
    except (ValueError, OSError) as error:
        options.errors.print(f"sg2bench: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(2)
