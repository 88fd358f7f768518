"""score."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from sg2bench import api
from sg2bench.cli import options


def score(
    real: Annotated[
        Path, typer.Option(help="Real images: a folder with train/ and val/, or with one folder per domain.")
    ],
    fake: Annotated[Path | None, typer.Option(help="Any model's images: <source>2<target>/<stem>_<k>.png.")] = None,
    translator: Annotated[
        str | None,
        typer.Option(metavar="MODULE:CALLABLE", help="Your model itself, instead of --fake: see docs/own-model.md."),
    ] = None,
    experiment: Annotated[
        Path | None, typer.Option(help="Experiment with protocol, counts and image size; default: none.")
    ] = None,
    variant: Annotated[str, typer.Option(help="Name of the model, written into the rows as variant.")] = "full",
    seed: options.Seed = 0,
    mode: Annotated[
        str | None, typer.Option(help="latent or reference; default: reference with a references.csv, else latent.")
    ] = None,
    set_: options.Set = None,
    protocol: options.Protocol = None,
    device: options.Device = "auto",
    out: options.RowsFile = Path("rows.csv"),
) -> None:
    """Measure any model, or its images: every metric per pair of domains, per target domain and overall."""
    guided: Any = mode  # `api.score` refuses unknown modes
    options.make_place(out, experiment)
    settings = options.settings(set_)
    if fake is not None and "evaluate.modes" in settings:
        raise ValueError("--set evaluate.modes: is for a translator; for --fake, give --mode")
    table = api.score(
        real,
        fake,
        translator=translator,
        experiment=experiment,
        variant=variant,
        seed=seed,
        mode=guided,
        settings=settings,
        protocol=protocol,
        device=device,
        progress=options.print_note,
    )
    options.write_rows(table, out)
