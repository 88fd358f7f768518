"""translate."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sg2bench import api
from sg2bench.cli import options


def translate(
    checkpoint: Annotated[Path, typer.Argument(help="NNNNNN_nets_ema.ckpt")],
    sources: Annotated[Path, typer.Option(help="An image, or a folder of images at any depth.")],
    references: Annotated[
        Path | None,
        typer.Option(help="Folder with one folder of images per domain; this or --latent-seeds is required."),
    ] = None,
    latent_seeds: Annotated[
        int | None, typer.Option(min=1, max=10_000, help="Number of styles per domain, from latents 0 … N-1.")
    ] = None,
    psi: Annotated[
        float, typer.Option(min=0, max=1, help="Truncation of latent styles: 1 for none, 0 for the domain's mean.")
    ] = 1.0,
    frames: Annotated[
        int, typer.Option(min=0, max=60, help="Frames of the animation between two styles; 0 for none.")
    ] = 8,
    domains: Annotated[
        str | None, typer.Option(help="Domain names in the order of training, e.g. cat,dog; default: the run's.")
    ] = None,
    experiment: Annotated[
        Path | None,
        typer.Option(help="Experiment with model and domains; default: the run's config.yaml, or the file's shapes."),
    ] = None,
    variant: options.Variant = None,
    out: Annotated[Path, typer.Option(help="Folder to create.")] = Path("translated"),
    device: options.Device = "auto",
) -> None:
    """Translate your images into styles of latents or references: images, grids, an animation between styles."""
    table = api.translate(
        checkpoint,
        sources,
        references=references,
        latent_seeds=latent_seeds,
        psi=psi,
        frames=frames,
        domains=None if domains is None else [name.strip() for name in domains.split(",")],
        experiment=experiment,
        variant=variant,
        out=out,
        device=device,
    )
    options.print_plain(f"domains {', '.join(dict.fromkeys(table['domain']))}; {len(table)} images: {out}")
