"""Variants × seeds → runs: which are to do, what one does, what all of them give."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import torch
from filelock import FileLock, Timeout

from sg2bench import cache, config, results
from sg2bench.config import Data, Experiment, training_hash
from sg2bench.data import images as image_sets
from sg2bench.data.images import ImageSet
from sg2bench.evaluation.evaluate import Evaluator
from sg2bench.evaluation.grids import grid
from sg2bench.evaluation.protocol import Protocol
from sg2bench.launch import Run
from sg2bench.models import checkpoints
from sg2bench.models.networks import Networks
from sg2bench.report.folder import CURVES, EXPERIMENT, GRIDS, MADE_BY, RESULTS
from sg2bench.training.loop import LOG, train

ROWS, SAMPLES = "rows.csv", "samples"
CONFIG = "config.yaml"
_DATA, _HASH = "# data fingerprint: ", "# training hash: "


def plan(experiment: Experiment, runs: Path) -> list[Run]:
    """Every run of an experiment, the seeds of a variant one after the other; finished ones are `skipped`.

    Raises ValueError if a run's folder was made with another configuration or with other images.
    """
    planned = []
    fingerprints: dict[tuple[Data, int], str] = {}
    for variant in experiment.variants:
        resolved = experiment.resolve(variant)
        key = resolved.data, resolved.model.image_size
        if key not in fingerprints:
            fingerprints[key] = image_sets.load(*key).fingerprint
        fingerprint = fingerprints[key]
        files = checkpoints.files_of(resolved)
        for seed in experiment.seeds:
            run = Run(variant, seed, runs / experiment.name / variant / f"seed-{seed}", resolved.train.steps)
            _refuse_other_configuration(run.folder, resolved, fingerprint, files)
            if is_finished(run.folder, resolved, fingerprint):
                run.state, run.step = "skipped", run.steps
            planned.append(run)
    return planned


def is_finished(folder: Path, resolved: Experiment, fingerprint: str) -> bool:
    """Whether a run's rows are there, for these images, this protocol, these metrics and these modes."""
    if not (folder / ROWS).is_file():
        return False
    table = results.read(folder / ROWS)
    wanted = {(metric, mode) for metric in resolved.evaluate.metrics for mode in resolved.evaluate.modes}
    found = set(zip(table["metric"], table["mode"], strict=True))
    same = (table["protocol_hash"] == Protocol(resolved.evaluate, resolved.model.image_size).hash) & (
        table["data_fingerprint"] == fingerprint
    )
    return bool(same.all()) and wanted <= found


def perform(experiment: Experiment, variant: str, seed: int, folder: Path, device: torch.device) -> None:
    """Train and evaluate one run into its folder: config, log, networks, rows, sample grids."""
    resolved = experiment.resolve(variant)
    images = image_sets.load(resolved.data, resolved.model.image_size)
    files = checkpoints.files_of(resolved)
    _refuse_other_configuration(folder, resolved, images.fingerprint, files)
    if device.type == "cpu":
        torch.set_num_threads(1)  # another number gives another rounding, and training amplifies it
    evaluator = Evaluator(resolved.evaluate, images, resolved.model.image_size, device)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / ".lock", timeout=0):
            _perform(resolved, variant, seed, folder, images, files, evaluator, device)
    except Timeout:
        raise ValueError(f"{folder}: another process is at work there; wait for it, or stop it") from None


def _perform(
    resolved: Experiment,
    variant: str,
    seed: int,
    folder: Path,
    images: ImageSet,
    files: Mapping[str, str],
    evaluator: Evaluator,
    device: torch.device,
) -> None:
    config_hash = training_hash(resolved, images.fingerprint, files)
    with cache.atomic_file(folder / CONFIG) as temporary:
        identity = f"{_DATA}{images.fingerprint}\n{_HASH}{config_hash}\n"
        temporary.write_text(identity + config.dump(resolved), encoding="utf-8")
    nets = train(resolved, seed, images, folder, device, config_hash)
    for mode in resolved.evaluate.modes:
        with cache.atomic_file(folder / SAMPLES / f"{mode}.png") as temporary:
            grid(nets, images, mode, resolved.model.image_size).save(temporary)
    values = evaluator.model(nets, progress=lambda pair: print(f"evaluating {pair}", flush=True))
    table = results.rows(values, resolved, variant, seed, resolved.train.steps, images.fingerprint, device, config_hash)
    results.write(table, folder / ROWS)


def reference_lines(experiment: Experiment, images: ImageSet, device: torch.device) -> pd.DataFrame:
    """Rows of the reference lines; fills the cache of real statistics that the runs then read."""
    config_hash = training_hash(experiment, images.fingerprint, {})
    lines = Evaluator(experiment.evaluate, images, experiment.model.image_size, device).reference_lines()
    return pd.concat(
        [
            results.rows(values, experiment, line, 0, 0, images.fingerprint, device, config_hash)
            for line, values in lines.items()
            if values
        ]
        or [pd.DataFrame(columns=results.COLUMNS)]
    )


def _refuse_other_configuration(folder: Path, resolved: Experiment, fingerprint: str, files: Mapping[str, str]) -> None:
    path = folder / CONFIG
    if not path.is_file():
        return
    stored = config.load(path)
    head = path.read_text(encoding="utf-8").splitlines()[:2]
    stored_fingerprint = head[0].removeprefix(_DATA)
    # Folders of versions before files counted say no hash.
    stored_hash = head[1].removeprefix(_HASH) if head[1].startswith(_HASH) else None
    if (stored_hash or training_hash(stored, stored_fingerprint, {})) != training_hash(resolved, fingerprint, files):
        old, new = stored.model_dump(mode="json"), resolved.model_dump(mode="json")
        changed = [
            f"{part}.{key} {old[part][key]} → {new[part][key]}"
            for part in ("model", "loss", "train")
            for key in new[part]
            if old[part][key] != new[part][key]
        ]
        if stored_fingerprint != fingerprint:
            changed.append(f"images {stored_fingerprint} → {fingerprint}")
        changed = changed or [f"other content of {', '.join(files)}"]
        raise ValueError(
            f"{folder} was made with another configuration ({', '.join(changed)}); "
            "remove the folder, or give another --runs folder or name"
        )


def collect(experiment: Experiment, runs: Sequence[Run], reference: pd.DataFrame, out: Path, command: str) -> Path:
    """Put what the finished runs gave into a report folder, for `report.write`; returns the rows' path.

    `results.csv` (the experiment's metrics and modes, reference lines last), `experiment.yaml` (with the command),
    `curves.csv` (the runs' training logs) and, of each variant's first seed, the sample grids. Raises ValueError if no
    run is finished.
    """
    finished = [run for run in runs if run.state in ("done", "skipped")]
    if not finished:
        raise ValueError("no run finished, there is nothing to report")
    table = pd.concat([results.read(run.folder / ROWS) for run in finished])
    asked = table["metric"].isin(experiment.evaluate.metrics) & table["mode"].isin(experiment.evaluate.modes)
    results.write(pd.concat([table[asked], reference], ignore_index=True), out / RESULTS)
    with cache.atomic_file(out / EXPERIMENT) as temporary:
        temporary.write_text(f"{MADE_BY}{command}\n{config.dump(experiment)}", encoding="utf-8")
    curves = [
        pd.read_csv(run.folder / LOG).assign(variant=run.variant, seed=run.seed)
        for run in finished
        if (run.folder / LOG).is_file()
    ]
    if curves:
        with cache.atomic_file(out / CURVES) as temporary:
            pd.concat(curves, ignore_index=True).to_csv(temporary, index=False)
    for run in reversed(finished):
        for sample in sorted((run.folder / SAMPLES).glob("*.png")):
            with cache.atomic_file(out / GRIDS / f"{run.variant}-{sample.name}") as temporary:
                shutil.copyfile(sample, temporary)
    return out / RESULTS


def evaluate_checkpoint(
    experiment: Experiment, variant: str, seed: int, checkpoint: Path, device: torch.device
) -> pd.DataFrame:
    """Rows of a model file; the step is the number that its name begins with, 0 without one."""
    resolved = experiment.resolve(variant)
    images = image_sets.load(resolved.data, resolved.model.image_size)
    nets = Networks(resolved.model, len(images.domains))
    checkpoints.load(nets, checkpoint, fan_weights=resolved.model.fan_weights)
    nets.to(device)
    digits = checkpoint.name.split("_")[0]
    values = Evaluator(resolved.evaluate, images, resolved.model.image_size, device).model(nets)
    step = int(digits) if digits.isdigit() else 0
    config_hash = training_hash(resolved, images.fingerprint, {})
    return results.rows(values, resolved, variant, seed, step, images.fingerprint, device, config_hash)
