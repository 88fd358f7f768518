"""A report folder from result rows: CSV, leaderboard, plots, and one self-contained HTML page."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd

from sg2bench import yaml_files
from sg2bench.files import atomic_file
from sg2bench.layout import CURVES, EXPERIMENT, MADE_BY, PAGE, RESULTS, SUMMARY, VARIANTS, grid_file
from sg2bench.report import figures, page, variants
from sg2bench.rows import is_line, last_steps, read, refuse_mixed_configurations, summarize
from sg2bench.rows import models as models_of


def write(results_file: Path, out: Path, command: str) -> Path:
    """Write summary, leaderboard, plots and `report.html` of rows, each run at its last step; returns the page's path.

    `command` is shown as what made them, unless `experiment.yaml` knows better.

    Training curves (`curves.csv`), sample grids (`grids/<variant>-<mode>.png`) and the experiment (`experiment.yaml`)
    are taken from the folder of the rows where they are there. Raises ValueError as `rows.read`, for rows of several
    experiments, image sets, protocols or configurations, for a folder whose `results.csv` is another file, and, before
    anything is written, for a YAML or CSV beside the rows that cannot be read.
    """
    table = last_steps(read(results_file))
    _refuse_mixture(table, results_file)
    source = results_file.parent
    in_place = source.resolve() == out.resolve()
    if in_place and results_file.name != RESULTS:
        raise ValueError(f"{results_file}: give the report another folder with --out; this one is for {RESULTS}")
    experiment, curves = _experiment(source / EXPERIMENT), _curves(source / CURVES)
    if experiment.startswith(MADE_BY):
        command = experiment.partition("\n")[0].removeprefix(MADE_BY)
    board = variants.markdown(table, command)
    out.mkdir(parents=True, exist_ok=True)
    if not in_place:
        _copy(results_file, out / RESULTS)
        grids = [grid_file(variant, mode) for variant in set(table["variant"]) for mode in set(table["mode"])]
        for file in (Path(CURVES), Path(EXPERIMENT), *grids):
            if (source / file).is_file():
                _copy(source / file, out / file)
    with atomic_file(out / SUMMARY) as temporary:
        summarize(table).to_csv(temporary, index=False, float_format="%.6g")
    text = page.render(
        table,
        grids=figures.grids(table, out),
        plots=figures.values(table, out),
        heatmaps=figures.heatmaps(table, out),
        curves=[] if curves is None else [figures.curves(curves, out)],
        downloads=[out / name for name in (RESULTS, SUMMARY, CURVES, EXPERIMENT) if (out / name).is_file()],
        command=command,
        experiment=experiment,
    )
    for name, content in ((VARIANTS, board), (PAGE, text)):
        with atomic_file(out / name) as temporary:
            temporary.write_text(content, encoding="utf-8")
    return out / PAGE


def _copy(source: Path, target: Path) -> None:
    with atomic_file(target) as temporary:
        shutil.copyfile(source, temporary)


def _experiment(path: Path) -> str:
    """The text of an experiment, empty if there is none."""
    if not path.is_file():
        return ""
    plain = yaml_files.read(path)
    if not isinstance(plain, dict | None):
        raise ValueError(f"{path}: an experiment is a mapping, got {type(plain).__name__}")
    return path.read_text(encoding="utf-8-sig")


def _curves(path: Path) -> pd.DataFrame | None:
    """Training curves, None if there are none."""
    if not path.is_file():
        return None
    try:
        curves = pd.read_csv(path)
    except (ValueError, OSError) as error:
        raise ValueError(f"{path}: not a CSV of training curves: {error}") from None
    if missing := {"step", "variant", "seed"} - set(curves.columns):
        raise ValueError(f"{path}: column {', '.join(sorted(missing))} is missing")
    return curves


def _refuse_mixture(table: pd.DataFrame, results_file: Path) -> None:
    """Raise ValueError for rows that cannot stand together."""
    if is_line(table).all():
        raise ValueError(f"{results_file}: holds reference lines only, no variant")
    for column in ("experiment", "data_fingerprint", "protocol"):
        if len(found := sorted(set(table[column]))) > 1:
            raise ValueError(f"{results_file}: rows of several {column}s cannot stand together: {', '.join(found)}")
    for metric, of_metric in table.groupby("metric", sort=False)["protocol_hash"]:
        if len(found := sorted(set(of_metric))) > 1:
            raise ValueError(
                f"{results_file}: rows of several protocol_hashs cannot stand together: {metric} has {', '.join(found)}"
            )
    refuse_mixed_configurations(table, results_file)
    models = models_of(table)
    _refuse_other_pairs(models, results_file)
    _refuse_other_counts(models, results_file)


def _refuse_other_pairs(models: pd.DataFrame, results_file: Path) -> None:
    pairs = {
        f"{variant} seed {seed}": set(zip(rows["source"], rows["target"], strict=True))
        for (variant, seed), rows in models.groupby(["variant", "seed"], sort=False)
    }
    first = next(iter(pairs.values()))
    for name, of_name in pairs.items():
        if of_name != first:
            source, target = sorted(of_name ^ first)[0]
            raise ValueError(
                f"{results_file}: {name} and {next(iter(pairs))} have other pairs of domains, as {source} → {target}; "
                "their means cannot stand together"
            )


def _refuse_other_counts(models: pd.DataFrame, results_file: Path) -> None:
    groups = models.groupby(["mode", "metric", "source", "target"], sort=False)
    for column in ("n_real", "n_fake"):
        differing = groups[column].nunique()
        for mode, metric, source, target in differing.index[differing > 1]:
            counts = groups.get_group((mode, metric, source, target))[column]
            raise ValueError(
                f"{results_file}: {mode} {metric} {source} → {target} has {column} "
                f"{', '.join(map(str, sorted(set(counts))))}; values of unequal counts cannot stand together"
            )
