"""A report folder from result rows: CSV, leaderboard, plots, and one self-contained HTML page."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pandas as pd
import yaml

from sg2bench import cache, results
from sg2bench.config import REFERENCE_LINES
from sg2bench.report import figures, leaderboard, page
from sg2bench.report.folder import CURVES, EXPERIMENT, GRIDS, MADE_BY, RESULTS, SUMMARY
from sg2bench.results import summarize


def write(results_file: Path, out: Path, command: str) -> Path:
    """Write summary, leaderboard, plots and `report.html` of rows; returns the page's path.

    `command` is shown as what made them, unless `experiment.yaml` knows better.

    Training curves (`curves.csv`), sample grids (`grids/<variant>-<mode>.png`) and the experiment (`experiment.yaml`)
    are taken from beside the rows where they are. Raises ValueError as `results.read`, for rows of several experiments,
    image sets or protocols, for a folder whose `results.csv` is another file, and, before anything is written, for a
    YAML or CSV beside the rows that cannot be read.
    """
    table = results.read(results_file)
    _refuse_mixture(table, results_file)
    if (table["variant"].isin(REFERENCE_LINES)).all():
        raise ValueError(f"{results_file}: holds reference lines only, no variant")
    source = results_file.parent
    in_place = source.resolve() == out.resolve()
    if in_place and results_file.name != RESULTS:
        raise ValueError(f"{results_file}: give the report another folder with --out; this one is for {RESULTS}")
    experiment, curves = _experiment(source / EXPERIMENT), _curves(source / CURVES)
    if experiment.startswith(MADE_BY):
        command = experiment.partition("\n")[0].removeprefix(MADE_BY)
    board = leaderboard.markdown(table, command)
    out.mkdir(parents=True, exist_ok=True)
    if not in_place:
        shutil.copyfile(results_file, out / RESULTS)
        for name in (CURVES, EXPERIMENT):
            if (source / name).is_file():
                shutil.copyfile(source / name, out / name)
        if (source / GRIDS).is_dir():
            shutil.copytree(source / GRIDS, out / GRIDS, dirs_exist_ok=True)
    with cache.atomic_file(out / SUMMARY) as temporary:
        summarize(table).to_csv(temporary, index=False, float_format="%.6g")
    with cache.atomic_file(out / "leaderboard.md") as temporary:
        temporary.write_text(board, encoding="utf-8")
    text = page.render(
        table,
        grids=figures.grids(table, out / GRIDS),
        plots=figures.values(table, out),
        heatmaps=figures.heatmaps(table, out),
        curves=[] if curves is None else [figures.curves(curves, out)],
        downloads=[out / name for name in (RESULTS, SUMMARY, CURVES, EXPERIMENT) if (out / name).is_file()],
        command=command,
        experiment=experiment,
    )
    with cache.atomic_file(out / "report.html") as temporary:
        temporary.write_text(text, encoding="utf-8")
    return out / "report.html"


def _experiment(path: Path) -> str:
    """The text of an experiment, empty if there is none."""
    if not path.is_file():
        return ""
    text = path.read_text(encoding="utf-8")
    try:
        plain = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: cannot be read as YAML: {' '.join(str(error).split())}") from None
    if not isinstance(plain, dict | None):
        raise ValueError(f"{path}: an experiment is a mapping, got {type(plain).__name__}")
    return text


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
    for metric in set(table["metric"]):
        if not re.fullmatch(r"\w[\w.-]*", metric):
            raise ValueError(f"{results_file}: {metric!r} cannot be a metric: files are named after it")
    for column in ("experiment", "protocol_hash", "data_fingerprint"):
        if len(found := sorted(set(table[column]))) > 1:
            raise ValueError(f"{results_file}: rows of several {column}s cannot stand together: {', '.join(found)}")
    models = table[~table["variant"].isin(REFERENCE_LINES)]
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
    groups = models.groupby(["mode", "metric", "source", "target"], sort=False)
    for column in ("n_real", "n_fake"):
        differing = groups[column].nunique()
        for mode, metric, source, target in differing.index[differing > 1]:
            counts = groups.get_group((mode, metric, source, target))[column].astype(int)
            raise ValueError(
                f"{results_file}: {mode} {metric} {source} → {target} has {column} "
                f"{', '.join(map(str, sorted(set(counts))))}; values of unequal counts cannot stand together"
            )
