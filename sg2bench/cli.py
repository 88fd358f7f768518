"""The command line: parses, calls, prints."""

from __future__ import annotations

import re
import shlex
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

import sg2bench

app = typer.Typer(
    name="sg2bench",
    help="What each part of StarGAN v2 buys: ablations, FID and LPIPS per domain, report, gate, throughput.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
data_app = typer.Typer(help="Image sets: fetch, draw, fingerprint.", no_args_is_help=True)
app.add_typer(data_app, name="data")
weights_app = typer.Typer(help="Pretrained networks of the metrics: list, fetch, verify.", no_args_is_help=True)
app.add_typer(weights_app, name="weights")

console = Console()
errors = Console(stderr=True)

ExperimentFile = Annotated[Path, typer.Argument(help="Experiment in YAML.")]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a key, as train.steps=200.")
]
Device = Annotated[str, typer.Option(help="cpu, cuda, cuda:N, or auto: a GPU where there is one.")]
Runs = Annotated[Path, typer.Option(help="Folder that holds the run folders.")]


@app.callback(invoke_without_command=True)
def _version(version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False) -> None:
    if version:
        console.print(f"sg2bench {sg2bench.__version__}", highlight=False)
        raise typer.Exit


@app.command()
def ablate(
    experiment: ExperimentFile = Path("experiments/critters.yaml"),
    set_: Set = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Runs at once; default: every core, or every GPU.")] = None,
    device: Device = "auto",
    runs: Runs = Path("runs"),
    out: Annotated[Path | None, typer.Option(help="Report folder; default reports/<experiment>.")] = None,
) -> None:
    """Train and evaluate every variant with every seed, then write the report.

    Finished runs are skipped and interrupted ones go on. Exit code 1 if a run failed.
    """
    from sg2bench import ablation, config, launch, progress
    from sg2bench.data import images as image_sets

    loaded = config.load(experiment, set_ or [])
    slots = launch.slots(device, workers)
    image_set = image_sets.load(loaded.data, loaded.model.image_size)
    planned = ablation.plan(loaded, runs)
    folder = out or Path("reports") / loaded.name
    folder.mkdir(parents=True, exist_ok=True)
    waiting = sum(run.state == "waiting" for run in planned)
    console.print(
        f"{loaded.name}: {len(planned)} runs, {waiting} to do, {min(len(slots), max(waiting, 1))} at once on "
        f"{slots[0].split(':')[0]}; logs in {runs / loaded.name}",
        highlight=False,
    )
    reference = ablation.reference_lines(loaded, image_set, _device(slots[0]))
    try:
        with progress.watching(planned, console) as watch:
            launch.launch(planned, launch.run_command(experiment, set_ or [], runs), slots, watch)
    except KeyboardInterrupt:
        errors.print("interrupted; the same command goes on from here", highlight=False)
        raise typer.Exit(130) from None
    failed = [run for run in planned if run.state == "failed"]
    for run in failed:
        log = run.folder / launch.RUN_LOG
        errors.print(f"{run.name} failed, its log is {log}; the last lines:", style="red", highlight=False)
        errors.print("\n".join(log.read_text(errors="replace").splitlines()[-5:]), markup=False, highlight=False)
    if len(failed) < len(planned):
        _report(ablation.collect(loaded, planned, reference, folder, _command()))
    if failed:
        raise typer.Exit(1)


@app.command()
def run(
    experiment: ExperimentFile,
    variant: Annotated[str, typer.Option(help="Which variant.")],
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Which seed.")],
    set_: Set = None,
    device: Device = "auto",
    runs: Runs = Path("runs"),
) -> None:
    """Train and evaluate one variant with one seed; goes on where it was cut off."""
    from sg2bench import ablation, config, launch

    loaded = config.load(experiment, set_ or [])
    folder = runs / loaded.name / variant / f"seed-{seed}"
    ablation.perform(loaded, variant, seed, folder, _device(launch.slots(device, 1)[0]))


@app.command()
def evaluate(
    checkpoint: Annotated[Path, typer.Argument(help="NNNNNN_nets_ema.ckpt")],
    experiment: Annotated[Path, typer.Option(help="Experiment that says model, data and protocol.")],
    variant: Annotated[str | None, typer.Option(help="Its variant; default: the first.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed that the rows carry.")] = 0,
    set_: Set = None,
    protocol: Annotated[
        str | None, typer.Option(help="offline, standard or paper, in place of the experiment's.")
    ] = None,
    device: Device = "auto",
    out: Annotated[Path, typer.Option(help="CSV to write.")] = Path("rows.csv"),
) -> None:
    """Measure a trained model: Fréchet distance and LPIPS per pair, per domain, overall."""
    from sg2bench import ablation, config, launch, results

    if protocol is not None and protocol not in config.METRICS:
        raise ValueError(f"--protocol {protocol}: expected {', '.join(config.METRICS)}")
    if out.is_dir():
        raise ValueError(f"--out {out}: is a folder; name the CSV")
    usual = [f"evaluate.protocol={protocol}", "evaluate.metrics=[]"] if protocol else []
    loaded = config.load(experiment, [*usual, *(set_ or [])])
    out.parent.mkdir(parents=True, exist_ok=True)
    table = ablation.evaluate_checkpoint(
        loaded, variant or next(iter(loaded.variants)), seed, checkpoint, _device(launch.slots(device, 1)[0])
    )
    results.write(table, out)
    overall = table[table["source"] == "*"]
    _print_table(overall, ["mode", "target", "metric", "value", "n_real", "n_fake"])
    console.print(f"All {len(table)} rows: {out}", highlight=False)


@app.command()
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
    device: Device = "auto",
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
    nets.to(_device(launch.slots(device, 1)[0]))
    if references is not None:
        found = gallery.read_folder(references, model.image_size)
        styles = gallery.reference_styles(nets, names, found, references)
    else:
        styles = gallery.latent_styles(nets, names, latent_seeds or 0, psi)
    count = gallery.write(nets, pictures, styles, out, frames)
    console.print(f"domains {', '.join(names)}; {count} images: {out}", highlight=False)


@app.command()
def report(
    results: Annotated[Path, typer.Argument(help="results.csv")],
    out: Annotated[Path | None, typer.Option(help="Report folder; default: where the rows are.")] = None,
) -> None:
    """Write leaderboard, plots and HTML page of result rows."""
    _report(results, out)


@app.command()
def check(
    results: Annotated[Path, typer.Argument(help="results.csv")],
    baseline: Annotated[Path, typer.Option(help="CSV to hold it against.")],
    tolerance: Annotated[
        list[str] | None,
        typer.Option(metavar="METRIC=SHARE", help="Allowed worsening; default 0.05 for lpips, 0.10 for others."),
    ] = None,
) -> None:
    """Exit 1 if a domain's metric got worse than the baseline by more than its tolerance, 0 if none did."""
    from sg2bench import check as gate

    compared = gate.compare(results, baseline, gate.tolerances(tolerance or []))
    regressed = compared[compared["regressed"]]
    shown = (regressed if len(regressed) else compared).assign(
        worse_by=lambda t: t["worse_by"].map("{:+.1%}".format), tolerance=lambda t: t["tolerance"].map("{:.0%}".format)
    )
    _print_table(shown, ["variant", "mode", "metric", "target", "baseline", "value", "worse_by", "tolerance"])
    if len(regressed):
        console.print(f"{len(regressed)} of {len(compared)} comparisons got worse beyond tolerance.", style="red")
        raise typer.Exit(1)
    console.print(f"No regression in {len(compared)} comparisons.", style="green")


@app.command()
def bench(
    experiment: Annotated[
        Path | None, typer.Argument(help="Experiment whose generator is timed; default: the paper's.")
    ] = None,
    batch: Annotated[
        list[int] | None, typer.Option(min=1, help="Batch size, repeatable; default 1 2 4 8 16 32.")
    ] = None,
    device: Annotated[
        list[str] | None, typer.Option(help="Repeatable; default: cpu, and cuda where there is one.")
    ] = None,
    max_seconds: Annotated[float, typer.Option(min=0.1, help="Time for each batch size and device.")] = 2.0,
    out: Annotated[Path, typer.Option(help="Folder for bench.csv and bench.json.")] = Path("reports/bench"),
    set_: Set = None,
) -> None:
    """Time the generator over batch sizes: images/s, ms per batch."""
    import torch

    from sg2bench import bench as throughput
    from sg2bench import config

    model = config.load(experiment, set_ or []).model
    devices = device or ["cpu", *["cuda"] * torch.cuda.is_available()]
    for name in devices:
        _device(name)
    table = throughput.bench(model, devices, batch or [1, 2, 4, 8, 16, 32], out, max_seconds)
    _print_table(
        table, ["device", "threads", "image_size", "batch_size", "images_per_second", "ms_per_batch", "ms_iqr"]
    )
    console.print(f"Rows: {out / 'bench.csv'}", highlight=False)


@data_app.command()
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
    console.print(emoji.licenses(), end="", highlight=False)
    console.print(f"Images, and these licences in LICENSES.txt: {target}", highlight=False)


@data_app.command()
def draw(
    out: Annotated[Path, typer.Option(help="Folder to make.")],
    experiment: Annotated[Path | None, typer.Option(help="Experiment that says counts, size and seed.")] = None,
    set_: Set = None,
) -> None:
    """Write the critters as PNG in {train,val}/<domain> folders, with factors.csv beside them."""
    from sg2bench import config
    from sg2bench.data import images

    loaded = config.load(experiment, set_ or [])
    count = images.export_critters(loaded.data, loaded.model.image_size, out)
    console.print(f"{count} images and factors.csv: {out}", highlight=False)


@data_app.command()
def fingerprint(experiment: ExperimentFile, set_: Set = None) -> None:
    """Print the hash of an experiment's images, which result rows carry, and what they are."""
    from sg2bench import config
    from sg2bench.data import images

    loaded = config.load(experiment, set_ or [])
    image_set = images.load(loaded.data, loaded.model.image_size)
    console.print(image_set.fingerprint, highlight=False)
    for split in images.SPLITS:
        counts = ", ".join(f"{domain} {image_set.count(split, domain)}" for domain in image_set.domains)
        errors.print(f"{split}: {counts}", highlight=False)


WeightsNames = Annotated[list[str] | None, typer.Argument(help="Names as `weights list` has them; default: all.")]


@weights_app.command("list")
def list_weights() -> None:
    """Each file, its licence, its SHA-256, and where it lies if it is here. Nothing is downloaded."""
    from sg2bench import weights

    for name, file in weights.ALL.items():
        where = weights.given(file.file) or "not here"
        line = f"{name:22} {file.file}  {file.license}, sha256 {file.sha256[:8]}…  {where}"
        console.print(line, soft_wrap=True, highlight=False)


@weights_app.command("fetch")
def fetch_weights(names: WeightsNames = None) -> None:
    """Download files that are not here yet, and check them."""
    from sg2bench import weights

    for file in _named_weights(names):
        console.print(f"{file.file}: {weights.fetch(file)}", highlight=False)


@weights_app.command("verify")
def verify_weights(names: WeightsNames = None) -> None:
    """Check the SHA-256 of files that are here; exit code 2 if one differs, or if one that was named is not here."""
    from sg2bench import weights

    for file in _named_weights(names):
        path = weights.verify(file)
        if path is None and names:
            raise ValueError(f"{file.file} is not here; sg2bench weights fetch gets it")
        console.print(f"{file.file}: {'not here' if path is None else f'as published, {path}'}", highlight=False)


def _named_weights(names: list[str] | None) -> list[Any]:
    from sg2bench import weights

    if unknown := [name for name in names or [] if name not in weights.ALL]:
        raise ValueError(f"no weights `{unknown[0]}` (known: {', '.join(weights.ALL)})")
    return [weights.ALL[name] for name in names or weights.ALL]


def main() -> None:
    """Run the command line: bad input ends in one clear line and exit code 2."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a cancelled CI job stops its runs, too
    try:
        app()
    except (ValueError, OSError) as error:
        errors.print(f"sg2bench: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(2)


def _device(name: str) -> Any:
    import torch

    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise ValueError(f"--device {name}: expected cpu, cuda, cuda:N or auto")
    device = torch.device(name)
    if device.type == "cuda":
        if (device.index or 0) >= torch.cuda.device_count():
            found = torch.cuda.device_count() or "no"
            raise ValueError(f"--device {name}: torch sees {found} CUDA device; use another, or --device cpu")
        torch.backends.cudnn.allow_tf32 = False  # rows say float32
    return device


def _report(results: Path, out: Path | None = None) -> None:
    from sg2bench.report import report as writer

    page = writer.write(results, out or results.parent, _command())
    console.print((page.parent / "leaderboard.md").read_text(encoding="utf-8"), markup=False, highlight=False)
    console.print(f"Report: {page}", highlight=False)


def _command() -> str:
    return shlex.join(["sg2bench", *sys.argv[1:]])


def _print_table(frame: Any, columns: list[str]) -> None:
    table = Table(*columns, box=None)
    for row in frame[columns].itertuples(index=False):
        table.add_row(*(f"{cell:.4g}" if isinstance(cell, float) else str(cell) for cell in row))
    console.print(table)
