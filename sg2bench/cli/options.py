"""Shared parts of commands: options, consoles, tables."""

from __future__ import annotations

import functools
import os
import shlex
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TextIO

import typer
from rich.console import Console

from sg2bench import texts
from sg2bench.layout import CONFIG, EXPERIMENT, RESULTS, ROWS, with_home

if TYPE_CHECKING:
    from sg2bench.runs.status import Status


def exit_unread() -> NoReturn:
    """Exit like a program killed by SIGPIPE, without what is still to be printed."""
    _discard(sys.stdout)
    sys.exit(128 + 13)


def _discard(stream: TextIO) -> None:
    """Discard what a stream has not printed yet, which Python would try again at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Exit, but not with rich's code 1, which here means a regression."""
        exit_unread()


console = _Console(markup=False, emoji=False, highlight=False)
errors = _Console(markup=False, emoji=False, highlight=False, stderr=True)

ExperimentFile = Annotated[Path, typer.Argument(help="Experiment in YAML, or the name of a shipped one.")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a key, e.g. train.steps=200; repeatable."),
]
Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:N, or auto: a GPU if available.")]
Protocol = Annotated[
    str | None, typer.Option(help="offline, standard, paper or modern; default: the experiment's, else offline.")
]
Runs = Annotated[str, typer.Option(help="Folder that holds the run folders.")]
Variant = Annotated[str | None, typer.Option(help="Variant of the experiment; default: the first.")]
Seed = Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Seed to write into the rows.")]
RowsFile = Annotated[Path, typer.Option(help="CSV to write.")]


def expands_home(command: Callable[..., None]) -> Callable[..., None]:
    """Make a command expand `~` in its paths, which shells do not in `--real=~/images`."""

    @functools.wraps(command)
    def call(**arguments: Any) -> None:
        return command(**{name: _with_home(value) for name, value in arguments.items()})

    return call


def _with_home(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_home(item) for item in value]
    return with_home(value) if isinstance(value, Path) else value


def settings(texts: list[str] | None) -> dict[str, Any]:
    """Return the settings given by `--set`."""
    from sg2bench.experiments import parse_settings

    return parse_settings(texts or [])


def command() -> str:
    """Return the command as it was typed, in one line."""
    return texts.one_line(shlex.join(["sg2bench", *sys.argv[1:]]))


def never_fail_to_print() -> None:
    """Replace characters that a stream's encoding lacks, such as an arrow on an old Windows console."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def print_plain(text: str, style: str = "") -> None:
    """Print lines without wrapping, so that they can be copied; control characters are replaced."""
    console.print(texts.visible(text), style=style, soft_wrap=True)


def print_note(text: str, style: str = "") -> None:
    """Print a line to standard error."""
    errors.print(texts.one_line(text), style=style, soft_wrap=True)


def print_error(text: str) -> None:
    try:
        print_note(text, "red")
    except OSError:  # the exit code still tells
        with suppress(OSError):
            _discard(sys.stderr)


def show_each_warning_once() -> None:
    """Print each warning once, as a note. Python's filter forgets what it has shown when code suspends it."""
    shown: set[str] = set()

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        if str(message) not in shown:
            shown.add(str(message))
            print_note(f"warning: {message}", "yellow")

    warnings.showwarning = show


def print_counts(statuses: Sequence[Status]) -> None:
    """Print the numbers of images of runs by split and domain to standard error, once per image set."""
    from sg2bench.data import sets

    experiments = {status.job.data_fingerprint: status.job.experiment for status in statuses}
    for experiment in experiments.values():
        for line in sets.load(experiment.data, experiment.model.image_size).counts():
            print_note(line)


def print_table(frame: Any, columns: list[str]) -> None:
    """Print columns of a frame, aligned and without wrapping."""
    rows = [
        [texts.rounded(c, 4) if isinstance(c, float) else str(c) for c in row]
        for row in frame[columns].to_numpy(object)
    ]
    lines = [columns, *rows]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    aligned = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)
    print_plain("\n".join(line.rstrip() for line in aligned))


def make_place(out: Path, *inputs: Path | None) -> None:
    """Check, before long work, that rows can be written to `out`, and that it holds nothing but rows: none of the
    `inputs`, of a run, of a study, or of a report.

    Raises ValueError otherwise.
    """
    from sg2bench import rows
    from sg2bench.files import make_writable

    if out.is_file() and any(out.resolve() == file.resolve() for file in inputs if file is not None):
        raise ValueError(f"--out {out}: would overwrite an input; name another file")
    if out.is_dir():
        raise ValueError(f"--out {out}: is a folder; name a CSV file")
    if out.is_file() and not rows.may_replace(out):
        raise ValueError(f"--out {out}: holds something other than result rows; name another file")
    for name, beside, whose in ((ROWS, CONFIG, "a run"), (RESULTS, EXPERIMENT, "a study")):
        if out.name == name and (out.parent / beside).is_file():
            raise ValueError(f"--out {out}: holds the rows of {whose}; name another file")
    try:
        if not out.exists() or out.is_file():  # otherwise a device or pipe, such as /dev/stdout
            make_writable(out.parent)
    except OSError as error:
        raise ValueError(f"--out {out}: {error.strerror}") from None


def write_rows(table: Any, out: Path) -> None:
    """Write result rows, and print the means."""
    from sg2bench import rows

    rows.write(table, out)
    means = table[table["source"] == "*"]
    print_table(means, ["mode", "target", "metric", "value", "ci_low", "ci_high", "n_real", "n_fake"])
    print_plain(f"All {len(table)} rows: {out}")
