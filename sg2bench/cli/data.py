"""data fetch, draw, fingerprint: image sets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sg2bench.cli import options

app = typer.Typer(name="data", help="Image sets: fetch, draw, fingerprint.", no_args_is_help=True)


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="emoji")],
    out: Annotated[Path | None, typer.Option(help="Where to put the images; default: the cache.")] = None,
    tarballs: Annotated[Path | None, typer.Option(help="Folder that holds the npm tarballs already.")] = None,
) -> None:
    """Fetch a real image set into {train,val}/<domain> folders, with its licences."""
    from sg2bench.data import emoji

    if name != "emoji":
        raise ValueError(f"no image set `{name}` to fetch (known: emoji)")
    target = out or emoji.default_folder()
    emoji.fetch(target, tarballs)
    options.console.print(emoji.licenses(), end="", highlight=False)
    options.console.print(f"Images, and these licences in LICENSES.txt: {target}", highlight=False)


@app.command()
def draw(
    out: Annotated[Path, typer.Option(help="Folder to make.")],
    experiment: Annotated[Path | None, typer.Option(help="Experiment that says counts, size and seed.")] = None,
    set_: options.Set = None,
) -> None:
    """Write the critters as PNG in {train,val}/<domain> folders, with factors.csv beside them."""
    from sg2bench import experiments
    from sg2bench.data import critters

    loaded = experiments.load(experiment, options.settings(set_))
    count = critters.export(loaded.data, loaded.model.image_size, out)
    options.console.print(f"{count} images and factors.csv: {out}", highlight=False)


@app.command()
def fingerprint(experiment: options.ExperimentFile, set_: options.Set = None) -> None:
    """Print the hash of an experiment's images, which result rows carry, and what they are."""
    from sg2bench import experiments
    from sg2bench.data import images, sets

    loaded = experiments.load(experiment, options.settings(set_))
    image_set = sets.load(loaded.data, loaded.model.image_size)
    options.console.print(image_set.fingerprint, highlight=False)
    for split in images.SPLITS:
        counts = ", ".join(f"{domain} {image_set.count(split, domain)}" for domain in image_set.domains)
        options.errors.print(f"{split}: {counts}", highlight=False)
