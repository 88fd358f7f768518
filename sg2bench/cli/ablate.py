"""ablate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sg2bench import api
from sg2bench.cli import options
from sg2bench.cli.report import print_report

if TYPE_CHECKING:
    from sg2bench.runs.status import Status


def ablate(
    experiment: options.ExperimentFile = Path("critters"),
    set_: options.Set = None,
    protocol: options.Protocol = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Runs in parallel; default: as many as fit.")] = None,
    device: options.Device = "auto",
    executor: Annotated[str, typer.Option(help="local: processes of this machine; ray: a Ray cluster.")] = "local",
    address: Annotated[str | None, typer.Option(help="Ray's address: auto, HOST:PORT or ray://HOST:PORT.")] = None,
    runs: Annotated[str, typer.Option(help="Folder for the run folders; with ray, also a URL (s3://…).")] = "runs",
    out: Annotated[Path | None, typer.Option(help="Report folder; default: reports/<experiment>.")] = None,
    known: Annotated[
        list[Path] | None,
        typer.Option(metavar="RESULTS.csv", help="Rows of finished runs, to reuse instead of training; repeatable."),
    ] = None,
) -> None:
    """Train and evaluate every variant with every seed, then write the report.

    Finished runs are skipped, interrupted ones resumed. Exit code 1 if a run failed.
    """
    from sg2bench.runs import progress

    statuses: Sequence[Status] = []

    with progress.view(options.console) as view:

        def show(now: Sequence[Status]) -> None:
            nonlocal statuses
            if not statuses:
                options.print_counts(now)
                options.print_plain(_plan(now))
            statuses = now
            view.show(now)

        try:
            api.ablate(
                experiment,
                settings=options.settings(set_),
                protocol=protocol,
                workers=workers,
                device=device,
                executor=executor,
                address=address,
                runs=runs,
                out=out,
                known=known or (),
                command=options.command(),
                progress=show,
            )
            failed: Sequence[Status] = []
        except KeyboardInterrupt:
            options.print_note(f"interrupted; the same command resumes from here{_rows_so_far(statuses)}")
            raise
        except api.FailedRunsError as error:
            failed = error.failed
    _print_failures(failed)
    if len(failed) < len(statuses):
        print_report(out or Path("reports") / statuses[0].job.experiment.name)
    if failed:
        raise typer.Exit(1)


def _plan(statuses: Sequence[Status]) -> str:
    waiting = Counter(status.state for status in statuses)["waiting"]
    known = sum(status.known is not None for status in statuses)
    todo = f"{waiting} to do" + (f", {known} known" if known else "")
    return f"{statuses[0].job.experiment.name}: {len(statuses)} runs, {todo}; logs in {_folder(statuses)}"


def _rows_so_far(statuses: Sequence[Status]) -> str:
    from sg2bench.layout import RESULTS

    rows = _folder(statuses) / RESULTS if statuses else Path()
    return f"; the rows of finished runs are in {rows}" if rows.is_file() else ""


def _folder(statuses: Sequence[Status]) -> Path:
    """Return the folder of the experiment's runs."""
    return statuses[0].job.folder.parent.parent


def _print_failures(failed: Sequence[Status]) -> None:
    from sg2bench.layout import RUN_LOG

    for status in failed:
        if status.reason:
            options.print_error(status.failure)
            continue
        log = status.job.folder / RUN_LOG
        options.print_error(f"{status.job.name} failed; its log is {log}. Its last lines:")
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:]:
            options.print_note(line)
