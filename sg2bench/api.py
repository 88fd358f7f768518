"""Each job as a function, with the arguments of its command. All return pandas tables.

Paths may be strings. An `experiment` is a YAML file, or the name of one that ships with the package; `settings`
override its dotted keys (`{"train.steps": 200}`). Bad input raises a ValueError that says what to do.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from sg2bench.layout import PathLike, with_home

if TYPE_CHECKING:
    from sg2bench.catalog import Mode
    from sg2bench.config import Experiment
    from sg2bench.evaluation.translators import Translator
    from sg2bench.runs.known import Known
    from sg2bench.runs.status import Status

Settings = Mapping[str, Any]


class FailedRunsError(RuntimeError):
    """Some runs of an experiment failed; the report covers the others, if any."""

    def __init__(self, failed: Sequence[Status]) -> None:
        super().__init__(", ".join(status.failure for status in failed))
        self.failed = failed


def ablate(
    experiment: PathLike = "critters",
    *,
    settings: Settings | None = None,
    protocol: str | None = None,
    workers: int | None = None,
    device: str = "auto",
    executor: str = "local",
    address: str | None = None,
    runs: PathLike = "runs",
    out: PathLike | None = None,
    known: PathLike | Sequence[PathLike] = (),
    command: str = "sg2bench.ablate",
    progress: Callable[[Sequence[Status]], None] = lambda _: None,
) -> pd.DataFrame:
    """Train and evaluate every variant with every seed, write the report, and return its rows.

    Finished runs are skipped, interrupted ones resumed. `workers` is the number of parallel runs, by default as many as
    fit (`resources`). The `executor` ray performs runs on the Ray cluster at `address`; `runs` is then a folder that
    all nodes share, or a URL that fsspec knows. Runs of the same configuration, images and protocol are taken from the
    tables `known`; a warning counts the others by reason. Rows and report go to `out` (`reports/<experiment>`); until
    then, rows are collected in `<runs>/<experiment>`. `progress` is called about twice a second. Raises
    FailedRunsError, after the report, if a run failed.
    """
    from sg2bench import ablation, distributed, experiments
    from sg2bench.report.whole import refuse_to_overwrite
    from sg2bench.runs import plan, storage

    distributed.refuse("sg2bench.ablate")
    loaded = _load(experiment, settings, protocol)
    folder = with_home(out) if out is not None else Path("reports") / loaded.name
    url = str(runs).rstrip("/") if storage.is_url(runs) else None
    ablation.refuse_other_place(executor, address, str(runs))
    refuse_to_overwrite(folder)
    tables = _read_known(known, loaded)
    with storage.local_folder(runs, loaded.name) as here:
        plan.refuse_folders(experiments.find(with_home(experiment)), folder, here / loaded.name)
        if executor == "ray":
            performer = ablation.ray_performer(here, url, address, device, workers)
        else:
            performer = ablation.local_performer(loaded, device, workers)
        table, statuses = ablation.perform_runs(loaded, here, folder, tables, performer, command, progress)
    if failed := [status for status in statuses if status.state == "failed"]:
        raise FailedRunsError(failed)
    return table


def _read_known(known: PathLike | Sequence[PathLike], experiment: Experiment) -> list[Known]:
    from sg2bench.report import material
    from sg2bench.rows import models, read
    from sg2bench.runs.known import Known

    named = [known] if isinstance(known, str | os.PathLike) else known
    found = []
    for path in map(with_home, named):
        near = material.read(path.parent, experiment.variants, experiment.evaluate.modes)
        found.append(Known(path, models(read(path)), near.curves, near.files))
    return found


def evaluate(
    checkpoint: PathLike,
    experiment: PathLike,
    *,
    variant: str | None = None,
    seed: int | None = None,
    settings: Settings | None = None,
    protocol: str | None = None,
    device: str = "auto",
) -> pd.DataFrame:
    """Measure a trained model and return its rows: every metric per pair of domains, per target, and overall.

    For a checkpoint in its run's folder, variant and seed come from `config.yaml` there. For any other, `variant`
    (default: the experiment's first) determines the networks, and `seed` (default: 0) is written into the rows.
    """
    from sg2bench import devices
    from sg2bench.data import sets
    from sg2bench.evaluation.evaluator import Evaluator
    from sg2bench.evaluation.values import tabulate
    from sg2bench.hashes import training_hash
    from sg2bench.layout import step_of
    from sg2bench.models import checkpoints
    from sg2bench.rows import refuse_bad_label
    from sg2bench.runs import job

    loaded, file = _load(experiment, settings, protocol), with_home(checkpoint)
    of_run = job.of_checkpoint(file)
    if of_run is not None:
        job.refuse_current_networks(file, of_run)
        job.refuse_other_labels(of_run, loaded, variant, seed)
        variant, seed = of_run.variant, of_run.seed
    variant, seed = variant or next(iter(loaded.variants)), seed or 0
    resolved = loaded.resolve(variant)
    refuse_bad_label(variant, seed)
    where, model = devices.device(device), resolved.model
    images = sets.load(resolved.data, model.image_size)
    if of_run is not None:
        job.refuse_other_domains(of_run, images.domains)
    nets = checkpoints.build(model, len(images.domains), file)
    values = Evaluator(resolved.evaluate, images, model.image_size, where).model(nets.to(where))
    if of_run is not None:
        config_hash = of_run.config_hash
    else:
        files = checkpoints.files_of(resolved) if resolved.train.start_from else {}
        config_hash = training_hash(resolved, images.fingerprint, files)
    return tabulate(values, resolved, variant, seed, step_of(file), images.fingerprint, where, config_hash)


def score(
    real: PathLike,
    fake: PathLike | None = None,
    *,
    translator: str | Translator | None = None,
    experiment: PathLike | None = None,
    variant: str = "full",
    seed: int = 0,
    mode: Mode | None = None,
    settings: Settings | None = None,
    protocol: str | None = None,
    device: str = "auto",
    progress: Callable[[str], None] = lambda _: None,
) -> pd.DataFrame:
    """Measure any model and return its rows, from its images in the folder `fake` or a function that makes them.

    `real` holds {train,val}/<domain>/ or <domain>/, `fake` <source>2<target>/<stem>_<k>.png. `mode` is the guidance of
    the fakes: latent by default, or reference if `fake` has a references.csv, which names the reference of each file.
    `translator` is a callable (`evaluation.translators.Translator`) or `module:callable`. `variant` names the model in
    the rows, `seed` its training. `progress` receives the numbers of images, and each pair as it begins.
    """
    from sg2bench import devices
    from sg2bench.data import folder
    from sg2bench.evaluation import fake_references, fakes, translators
    from sg2bench.evaluation.evaluator import Evaluator
    from sg2bench.evaluation.values import tabulate
    from sg2bench.hashes import stable_hash
    from sg2bench.rows import refuse_bad_label

    _refuse_other_model(fake, translator, mode)
    refuse_bad_label(variant, seed)
    images, where = folder.load_real(with_home(real)), devices.device(device)
    loaded = _load(experiment, settings, protocol)
    for line in images.counts():
        progress(line)
    if fake is not None:
        pairs = fakes.read(with_home(fake), images)
        references = fake_references.read(with_home(fake), pairs, images)
        if references and mode == "latent":
            raise ValueError(
                f"--mode latent: {fakes.REFERENCES} in {fake} says that styles are from references; leave out --mode, "
                "or remove that file"
            )
        guided = mode or ("reference" if references else "latent")
        loaded = fakes.fit(loaded, pairs, guided, images, references is not None)
        size = fakes.side_of(pairs)
        evaluator = Evaluator(loaded.evaluate, images, size, where, draws_references=False)
        values = fakes.score(evaluator, pairs, guided, progress, references)
    else:
        assert translator is not None
        if not any(images.names["val"].values()):
            raise ValueError(f"--real {real}: a translator needs validation images; expected {real}/{{train,val}}/")
        function, model = translators.load(translator), loaded.first().model
        evaluator = Evaluator(loaded.evaluate, images, size := model.image_size, where)
        values = translators.score(evaluator, function, model.latent_dim, progress)
    named = stable_hash(["scored", variant])  # its training is unknown, so its name is hashed instead
    return tabulate(values, loaded, variant, seed, 0, images.fingerprint, where, named, size)


def _refuse_other_model(fake: PathLike | None, translator: Translator | str | None, mode: Mode | None) -> None:
    """Raise ValueError unless exactly one model is given, with a mode that it takes."""
    if (fake is None) == (translator is None):
        raise ValueError("give either --fake DIR or --translator MODULE:CALLABLE")
    if translator is not None and mode is not None:
        raise ValueError("--mode is for --fake; for a translator: --set evaluate.modes=[latent]")
    if mode not in (None, "latent", "reference"):
        raise ValueError(f"--mode {mode}: expected latent or reference")


def translate(
    checkpoint: PathLike,
    sources: PathLike,
    *,
    references: PathLike | None = None,
    latent_seeds: int | None = None,
    psi: float = 1.0,
    frames: int = 8,
    domains: Sequence[str] | None = None,
    experiment: PathLike | None = None,
    variant: str | None = None,
    out: PathLike = "translated",
    device: str = "auto",
) -> pd.DataFrame:
    """Translate your images into styles of latents or references, and write them to `out`, which must not exist.

    Returns a row per image: source, domain, number of the style in its domain, style, file. Model and domains come from
    the run of the checkpoint, from the `experiment`, or, for a published file, from its shapes and `domains`.
    `references` holds a folder of images for each target domain; `latent_seeds` is the number of styles in each domain,
    from latents 0 to N - 1. `psi` from 0 to 1 pulls latent styles towards the mean style of their domain (1: not at
    all). `frames` is the number of animation frames from one style to the next (0: no animation).
    """
    from sg2bench import devices
    from sg2bench.models import checkpoints
    from sg2bench.runs import job
    from sg2bench.samples import gallery, pictures, styles

    if (references is None) == (latent_seeds is None):
        raise ValueError("give either --references DIR or --latent-seeds N")
    if references is not None and psi != 1:
        raise ValueError("--psi is for latents; styles of references are not truncated")
    for option, value, least, most in (
        ("psi", psi, 0, 1),
        ("frames", frames, 0, 60),
        ("latent-seeds", latent_seeds, 1, 10_000),
    ):
        if value is not None and not least <= value <= most:
            raise ValueError(f"--{option} {value}: expected {least} to {most}")
    file, known_by = with_home(checkpoint), None if experiment is None else with_home(experiment)
    of_run = job.of_checkpoint(file)
    trained = None if of_run is None else of_run.experiment
    model, names = styles.model_and_domains(file, trained, known_by, variant, domains, references is not None)
    inputs = pictures.read_pictures(with_home(sources), model.image_size)
    nets = checkpoints.build(model, len(names), file).to(devices.device(device))
    if references is not None:
        found = pictures.read_pictures(with_home(references), model.image_size)
        chosen = styles.reference_styles(nets, names, found, with_home(references))
    else:
        chosen = styles.latent_styles(nets, names, latent_seeds or 0, psi)
    return gallery.write(nets, inputs, chosen, with_home(out), frames)


def write_report(
    results: PathLike, *, out: PathLike | None = None, command: str = "sg2bench.write_report"
) -> pd.DataFrame:
    """Write leaderboard, plots and HTML page of result rows; return their summary over seeds.

    They go to the folder `out`, by default that of the rows. The report names `command` as the origin of the rows,
    unless an `experiment.yaml` in their folder names another.
    """
    from sg2bench.layout import RESULTS
    from sg2bench.report.write import write
    from sg2bench.rows import last_steps, read, summarize

    folder = with_home(out) if out is not None else with_home(results).parent
    write(with_home(results), folder, command)
    return summarize(last_steps(read(folder / RESULTS)))


def check(
    results: PathLike,
    baseline: PathLike,
    *,
    margins: Mapping[str, float] | None = None,
    experiment: PathLike | None = None,
    exact: float | None = None,
    bench: float | None = None,
    last_steps: int = 1,
) -> pd.DataFrame:
    """Compare results with a baseline; return a row with a verdict per variant, mode, metric and target.

    `margins` by metric take precedence over those of the `experiment`. With `exact`, values may differ by at most this
    share, in the unit of the metric's margin. With `bench`, the files are bench.csv, and throughput may fall by at most
    this share. If `last_steps` is above 1, each run is averaged over its last `last_steps` evaluated steps, on the even
    sources. `gate.verdict(table)` is the worst verdict of all rows.
    """
    from sg2bench import gate

    if exact is not None and (margins or experiment or bench is not None):
        raise ValueError("--exact cannot be combined with --margin, --experiment or --bench")
    if bench is not None and (margins or experiment):
        raise ValueError("--bench has its own share and cannot be combined with --margin or --experiment")
    if last_steps < 1:
        raise ValueError(f"--last-steps {last_steps}: expected 1 or more")
    if last_steps > 1 and (exact is not None or bench is not None):
        raise ValueError("--last-steps is for comparisons over seeds and cannot be combined with --exact or --bench")
    if bench is not None:
        return gate.compare_throughput(with_home(results), with_home(baseline), bench)
    if exact is not None:
        return gate.compare_exactly(with_home(results), with_home(baseline), exact)
    declared = _load(experiment, None, None).margins if experiment else {}
    return gate.compare(with_home(results), with_home(baseline), gate.margins(margins, declared), last_steps)


def _load(experiment: PathLike | None, settings: Settings | None, protocol: str | None) -> Experiment:
    from sg2bench import experiments

    return experiments.load(None if experiment is None else with_home(experiment), settings, protocol)
