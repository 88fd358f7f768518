"""evaluate, translate: trained models."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from sg2bench.cli import options


def evaluate(
    checkpoint: Annotated[Path, typer.Argument(help="NNNNNN_nets_ema.ckpt")],
    experiment: Annotated[Path, typer.Option(help="Experiment that says model, data and protocol.")],
    variant: Annotated[str | None, typer.Option(help="Its variant; default: the first.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed that the rows carry.")] = 0,
    set_: options.Set = None,
    protocol: options.Protocol = None,
    device: options.Device = "auto",
    out: Annotated[Path, typer.Option(help="CSV to write.")] = Path("rows.csv"),
) -> None:
    """Measure a trained model: Fréchet distance and LPIPS per pair, per domain, overall."""
    from sg2bench import ablation, config, launch

    _make_place(out)
    loaded = config.load(experiment, options.settings(protocol, set_))
    table = ablation.evaluate_checkpoint(
        loaded, variant or next(iter(loaded.variants)), seed, checkpoint, options.device(launch.slots(device, 1)[0])
    )
    _write(table, out)


def score(
    real: Annotated[Path, typer.Option(help="Real images: folder of train/ and val/, or of a folder for each domain.")],
    fake: Annotated[Path | None, typer.Option(help="Any model's images: <source>2<target>/<stem>_<k>.png")] = None,
    translator: Annotated[
        str | None, typer.Option(metavar="MODULE:CALLABLE", help="Or your model itself: see docs/own-model.md.")
    ] = None,
    experiment: Annotated[
        Path | None, typer.Option(help="Experiment that says protocol, counts and image size; else the defaults.")
    ] = None,
    variant: Annotated[str, typer.Option(help="Name that the rows carry as variant.")] = "full",
    seed: Annotated[int, typer.Option(min=0, help="Seed that the rows carry.")] = 0,
    mode: Annotated[
        str | None, typer.Option(help="How the --fake images were guided: latent (the default) or reference.")
    ] = None,
    set_: options.Set = None,
    protocol: options.Protocol = None,
    device: options.Device = "auto",
    out: Annotated[Path, typer.Option(help="CSV to write.")] = Path("rows.csv"),
) -> None:
    """Measure any model's images, or any model: Fréchet distance and LPIPS per pair, per domain, overall."""
    from sg2bench import config, launch, results
    from sg2bench.data import images as image_sets
    from sg2bench.evaluation import fakes
    from sg2bench.evaluation import translator as translators
    from sg2bench.evaluation.evaluate import Evaluator
    from sg2bench.evaluation.guidance import Mode

    if (fake is None) == (translator is None):
        raise ValueError("give either --fake DIR or --translator MODULE:CALLABLE")
    if mode not in (None, "latent", "reference"):
        raise ValueError(f"--mode {mode}: expected latent or reference")
    if translator is not None and mode is not None:
        raise ValueError("--mode is for --fake; for a translator: --set evaluate.modes=[latent]")
    guided: Mode = "reference" if mode == "reference" else "latent"
    _make_place(out)
    images = image_sets.load_real(real)
    settings = options.settings(protocol, set_)
    where = options.device(launch.slots(device, 1)[0])

    def progress(pair: str) -> None:
        options.errors.print(pair, highlight=False)

    if fake is not None:
        pairs = fakes.read(fake, images)
        loaded = fakes.fit(config.load(experiment, settings), pairs, guided)
        size = fakes.side_of(pairs)
        evaluator = Evaluator(loaded.evaluate, images, size, where)
        values, made_by = fakes.score(evaluator, pairs, guided, progress), fakes.fingerprint(pairs)
    else:
        assert translator is not None
        loaded = config.load(experiment, settings)
        if not any(images.names["val"].values()):
            raise ValueError(f"--real {real}: a translator is given validation images; expected {real}/{{train,val}}/")
        function = translators.load(translator)
        size = loaded.model.image_size
        evaluator = Evaluator(loaded.evaluate, images, size, where)
        values, made_by = translators.score(evaluator, function, loaded.model.latent_dim, progress)
    _write(results.rows(values, loaded, variant, seed, 0, images.fingerprint, where, made_by, size), out)


def _make_place(out: Path) -> None:
    """Before hours of work: a folder to write to."""
    if out.is_dir():
        raise ValueError(f"--out {out}: is a folder; name the CSV")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"--out {out}: {error.strerror}") from None
    if not os.access(out.parent, os.W_OK):
        raise ValueError(f"--out {out}: cannot be written to")


def _write(table: Any, out: Path) -> None:
    from sg2bench import results

    results.write(table, out)
    overall = table[table["source"] == "*"]
    options.print_table(overall, ["mode", "target", "metric", "value", "ci_low", "ci_high", "n_real", "n_fake"])
    options.console.print(f"All {len(table)} rows: {out}", highlight=False)


def translate(
    checkpoint: Annotated[Path, typer.Argument(help="NNNNNN_nets_ema.ckpt")],
    sources: Annotated[Path, typer.Option(help="Folder of images, or of folders of images.")],
    references: Annotated[Path | None, typer.Option(help="Folder with a folder of images for each domain.")] = None,
    latent_seeds: Annotated[int | None, typer.Option(min=1, help="Styles per domain, from latents 0 … N-1.")] = None,
    psi: Annotated[float, typer.Option(min=0, max=1, help="Latents: 1 as drawn, toward 0 the domain's mean.")] = 1.0,
    frames: Annotated[int, typer.Option(min=0, max=60, help="Of the animation, from style to style; 0 for none.")] = 8,
    domains: Annotated[
        str | None, typer.Option(help="Names in the order of training, as cat,dog; default: the experiment's.")
    ] = None,
    experiment: Annotated[
        Path | None,
        typer.Option(
            help="Says model and domains; default: config.yaml beside the checkpoint, else the file's shapes."
        ),
    ] = None,
    variant: Annotated[str | None, typer.Option(help="Its variant; default: the first.")] = None,
    out: Annotated[Path, typer.Option(help="Folder to make.")] = Path("translated"),
    device: options.Device = "auto",
) -> None:
    """Your images in styles of latents or references: single images, grids, an animation between the styles."""
    from sg2bench import ablation, config, launch
    from sg2bench.data import images as image_sets
    from sg2bench.evaluation import gallery
    from sg2bench.models import checkpoints
    from sg2bench.models.networks import Networks

    if (references is None) == (latent_seeds is None):
        raise ValueError("give either --references DIR or --latent-seeds N")
    if references is not None and psi != 1:
        raise ValueError("--psi is for latents; a reference's style is taken as it is")
    beside = checkpoint.parent / ablation.CONFIG
    if experiment is None and variant is not None:
        raise ValueError("--variant goes with --experiment")
    if experiment is None and beside.is_file():
        experiment = beside
    if experiment is None:
        if references is not None and domains is None:
            raise ValueError("--references needs the names of the domains in the order of training: --domains cat,dog")
        model, number = checkpoints.infer(checkpoint)
        names = gallery.name_domains(number, domains)
    else:
        loaded = config.load(experiment)
        resolved = loaded.resolve(variant or next(iter(loaded.variants)))
        model = resolved.model
        names = image_sets.load(resolved.data, model.image_size).domains
        if domains is not None:
            names = gallery.name_domains(len(names), domains)
    pictures = gallery.read_folder(sources, model.image_size)
    nets = Networks(model, len(names))
    checkpoints.load(nets, checkpoint, fan_weights=model.fan_weights)
    nets.to(options.device(launch.slots(device, 1)[0]))
    if references is not None:
        found = gallery.read_folder(references, model.image_size)
        styles = gallery.reference_styles(nets, names, found, references)
    else:
        styles = gallery.latent_styles(nets, names, latent_seeds or 0, psi)
    count = gallery.write(nets, pictures, styles, out, frames)
    options.console.print(f"domains {', '.join(names)}; {count} images: {out}", highlight=False)
