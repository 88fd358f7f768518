"""data fetch, draw, fingerprint: image sets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sg2bench.cli import options

app = typer.Typer(name="data", help="Image sets: fetch, draw, fingerprint.", no_args_is_help=True)


@app.command()
@options.expands_home
def fetch(
    name: Annotated[str, typer.Argument(help="emoji or glyphs")],
    out: Annotated[Path | None, typer.Option(help="Where to put the images; default: the cache.")] = None,
    tarballs: Annotated[Path | None, typer.Option(help="Folder with tarballs that npm downloaded before.")] = None,
) -> None:
    """Fetch a real image set into {train,val}/<domain> folders, with its licences."""
    from sg2bench.data import emoji, glyphs
    from sg2bench.data.tarballs import LICENSES

    sets = {"emoji": emoji, "glyphs": glyphs}
    if name not in sets:
        raise ValueError(f"no image set `{name}` to fetch (known: {', '.join(sets)})")
    target = out or sets[name].default_folder()
    sets[name].fetch(target, tarballs)
    options.print_plain((target / LICENSES).read_text(encoding="utf-8").rstrip("\n"))
    options.print_plain(f"Images, with these licences in LICENSES.txt: {target}")


@app.command()
@options.expands_home
def draw(
    out: Annotated[Path, typer.Option(help="Folder to create.")],
    experiment: Annotated[Path | None, typer.Option(help="Experiment with counts, size and seed.")] = None,
    set_: options.Set = None,
) -> None:
    """Write the critters as PNG files in {train,val}/<domain> folders, with factors.csv next to them."""
    from sg2bench import experiments
    from sg2bench.data import critters

    loaded = experiments.load(experiment, options.settings(set_)).first()
    if loaded.data.source != "critters":
        raise ValueError(f"--experiment {experiment}: its images are not drawn (data.source is {loaded.data.source})")
    count = critters.export(loaded.data, loaded.model.image_size, out)
    options.print_plain(f"{count} images and factors.csv: {out}")


@app.command()
@options.expands_home
def fingerprint(experiment: options.ExperimentFile, set_: options.Set = None) -> None:
    """Print the hash of an experiment's images, as in result rows, and their counts."""
    from sg2bench import experiments
    from sg2bench.data import sets

    loaded = experiments.load(experiment, options.settings(set_)).first()
    image_set = sets.load(loaded.data, loaded.model.image_size)
    options.print_plain(image_set.fingerprint)
    for line in image_set.counts():
        options.print_note(line)
