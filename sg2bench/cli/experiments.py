"""ablate, run, tensorboard."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sg2bench.cli import options
from sg2bench.cli.rows import write_report


def ablate(
    experiment: options.ExperimentFile = Path("experiments/critters.yaml"),
    set_: options.Set = None,
    protocol: options.Protocol = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Runs at once; default: every core, or every GPU.")] = None,
    device: options.Device = "auto",
    runs: options.Runs = Path("runs"),
    out: Annotated[Path | None, typer.Option(help="Report folder; default reports/<experiment>.")] = None,
) -> None:
    """Train and evaluate every variant with every seed, then write the report.

    Finished runs are skipped and interrupted ones go on. Exit code 1 if a run failed.
    """
    from sg2bench import ablation, config, launch, progress
    from sg2bench.data import images as image_sets

    settings = options.settings(protocol, set_)
    loaded = config.load(experiment, settings)
    slots = launch.slots(device, workers)
    image_set = image_sets.load(loaded.data, loaded.model.image_size)
    planned = ablation.plan(loaded, runs)
    folder = out or Path("reports") / loaded.name
    folder.mkdir(parents=True, exist_ok=True)
    waiting = sum(run.state == "waiting" for run in planned)
    options.console.print(
        f"{loaded.name}: {len(planned)} runs, {waiting} to do, {min(len(slots), max(waiting, 1))} at once on "
        f"{slots[0].split(':')[0]}; logs in {runs / loaded.name}",
        highlight=False,
    )
    reference = ablation.reference_lines(loaded, image_set, options.device(slots[0]))
    try:
        with progress.watching(planned, options.console) as watch:
            launch.launch(planned, launch.run_command(experiment, settings, runs), slots, watch)
    except KeyboardInterrupt:
        options.errors.print("interrupted; the same command goes on from here", highlight=False)
        raise typer.Exit(130) from None
    failed = [run for run in planned if run.state == "failed"]
    for run in failed:
        log = run.folder / launch.RUN_LOG
        options.errors.print(f"{run.name} failed, its log is {log}; the last lines:", style="red", highlight=False)
        options.errors.print(
            "\n".join(log.read_text(errors="replace").splitlines()[-5:]), markup=False, highlight=False
        )
    if len(failed) < len(planned):
        write_report(ablation.collect(loaded, planned, reference, folder, options.command()))
    if failed:
        raise typer.Exit(1)


def run(
    experiment: options.ExperimentFile,
    variant: Annotated[str, typer.Option(help="Which variant.")],
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Which seed.")],
    set_: options.Set = None,
    device: options.Device = "auto",
    runs: options.Runs = Path("runs"),
) -> None:
    """Train and evaluate one variant with one seed; goes on where it was cut off."""
    from sg2bench import ablation, config, launch

    loaded = config.load(experiment, set_ or [])
    folder = runs / loaded.name / variant / f"seed-{seed}"
    ablation.perform(loaded, variant, seed, folder, options.device(launch.slots(device, 1)[0]))


def tensorboard(
    runs: Annotated[Path, typer.Argument(help="Folder that holds the run folders.")],
    out: Annotated[Path | None, typer.Option(help="Where to put the event files; default: beside the logs.")] = None,
) -> None:
    """Write TensorBoard's event files of runs: loss terms, overall values, sample grids. Needs the extra `tensorboard`.

    Works while runs are training; run it again for what has come since.
    """
    from sg2bench import tensorboard as writer

    folders = writer.write(runs, out or runs)
    options.console.print(f"{len(folders)} runs. To look: tensorboard --logdir {out or runs}", highlight=False)
