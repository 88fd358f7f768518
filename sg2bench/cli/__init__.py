"""The command line: parse, call `api`, print. Each module is the command of its name."""

from __future__ import annotations

import gc
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
import typer.core

import sg2bench
from sg2bench.cli import (
    ablate,
    bench,
    check,
    compare,
    data,
    doctor,
    evaluate,
    experiments,
    export_model_card,
    leaderboard,
    mlflow,
    options,
    plan,
    report,
    run,
    score,
    tensorboard,
    translate,
    weights,
)


class _Commands(typer.core.TyperGroup):
    """Keep some errors from exit code 1, which typer gives them, but which here means a regression."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:  # prints --help
        with _unread():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        try:
            with _unread():
                return super().invoke(ctx)
        except EOFError as error:
            raise RuntimeError(f"unexpected end of a file: {error}") from error


@contextmanager
def _unread() -> Iterator[None]:
    """Exit if the reader of our output has closed the pipe: of --help, for which rich would exit with 1, too."""
    try:
        yield
    except (BrokenPipeError, SystemExit) as error:
        if isinstance(error, SystemExit) and error.code != 1:
            raise
        options.exit_unread()


app = typer.Typer(
    name="sg2bench",
    cls=_Commands,
    help="Measure what each part of StarGAN v2 contributes: ablations, FID and LPIPS per domain, report, gate, "
    "throughput.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (
    *(ablate.ablate, run.run, evaluate.evaluate, score.score, translate.translate, report.report, check.check),
    *(
        compare.compare,
        plan.plan,
        experiments.experiments,
        tensorboard.tensorboard,
        mlflow.mlflow,
        bench.bench,
        doctor.doctor,
    ),
    export_model_card.export_model_card,
):
    app.command()(options.expands_home(command))
for group in (data.app, leaderboard.app, weights.app):
    app.add_typer(group)


@app.callback(invoke_without_command=True)
def _first(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        options.print_plain(f"sg2bench {sg2bench.__version__}")
        raise typer.Exit
    if (
        "WORLD_SIZE" in os.environ and context.invoked_subcommand != "run"
    ):  # only torchrun sets it; other commands start without torch
        from sg2bench import distributed

        distributed.refuse(f"sg2bench {context.invoked_subcommand}")


def main() -> None:
    """Run the command line. Bad input ends in one clear line and exit code 2, a bug in sg2bench in 70."""
    options.never_fail_to_print()
    options.show_each_warning_once()
    gc.set_threshold(100_000)  # importing torch makes a million objects and no garbage: a fifth of a run's start-up
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    code = 0
    try:
        app()
    except KeyboardInterrupt:
        code = 128 + signal.SIGINT
    except (ValueError, OSError) as error:
        options.print_error(f"sg2bench: {error}")
        code = 2
    except Exception as error:  # whatever gets here is a bug in sg2bench
        with tempfile.NamedTemporaryFile(
            "w", prefix="sg2bench-", suffix=".txt", delete=False, encoding="utf-8"
        ) as file:
            traceback.print_exc(file=file)
        what = " ".join(str(error).split())[:200]
        options.print_error(
            f"sg2bench: internal error: {type(error).__name__}: {what}. This is a bug in sg2bench "
            f"{sg2bench.__version__}: please report it with the command and {file.name}"
        )
        code = 70
    sys.exit(code)
