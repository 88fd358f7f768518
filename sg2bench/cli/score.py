"""score."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from sg2bench import api
from sg2bench.cli import options


def score(
    real: Annotated[Path, typer.Option(help="Real images: folder of train/ and val/, or of a folder for each domain.")],
    fake: Annotated[Path | None, typer.Option(help="Any model's images: <source>2<target>/<stem>_<k>.png")] = None,
    translator: Annotated[
        str | None, typer.Option(metavar="MODULE:CALLABLE", help="Or your model itself: see docs/own-model.md.")
    ] = None,
    experiment: Annotated[
        Path | None, typer.Option(help="Experiment that says protocol, counts and image size; else the defaults.")
    ] = None,
    variant: Annotated[str, typer.Option(help="Name of the model, which the rows carry as variant.")] = "full",
    seed: options.Seed = 0,
    mode: Annotated[
        str | None, typer.Option(help="How the --fake images were guided: latent (the default) or reference.")
    ] = None,
    set_: options.Set = None,
    protocol: options.Protocol = None,
    device: options.Device = "auto",
    out: options.RowsFile = Path("rows.csv"),
) -> None:
    """Measure any model's images, or any model: every metric per pair of domains, per target domain, and overall."""
    guided: Any = mode  # `api.score` says which modes there are
    options.make_place(out, experiment)
    table = api.score(
        real,
        fake,
        translator=translator,
        experiment=experiment,
        variant=variant,
        seed=seed,
        mode=guided,
        settings=options.settings(set_),
        protocol=protocol,
        device=device,
        progress=options.print_note,
    )
    options.write_rows(table, out)
