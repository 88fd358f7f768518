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
    references: Annotated[Path | None, typer.Option(help="Folder with a folder of images for each domain.")] = None,
    latent_seeds: Annotated[
        int | None, typer.Option(min=1, max=10_000, help="Styles per domain, from latents 0 … N-1.")
    ] = None,
    psi: Annotated[float, typer.Option(min=0, max=1, help="Latents: 1 as drawn, toward 0 the domain's mean.")] = 1.0,
    frames: Annotated[int, typer.Option(min=0, max=60, help="Of the animation, from style to style; 0 for none.")] = 8,
    domains: Annotated[
        str | None, typer.Option(help="Names in the order of training, as cat,dog; default: the run's.")
    ] = None,
    experiment: Annotated[
        Path | None,
        typer.Option(help="Says model and domains; default: the run's config.yaml, or shapes."),
    ] = None,
    variant: options.Variant = None,
    out: Annotated[Path, typer.Option(help="Folder to make.")] = Path("translated"),
    device: options.Device = "auto",
) -> None:
    """Write your images in styles of latents or references: single images, grids, an animation between the styles."""
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
