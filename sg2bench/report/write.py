"""A report folder from result rows: CSV, leaderboard, plots, and one self-contained HTML page."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from sg2bench.files import atomic_file, copy
from sg2bench.layout import CURVES, EXPERIMENT, PAGE, RESULTS, SUMMARY, VARIANTS
from sg2bench.report import figures, material, page, plots, steps, variants
from sg2bench.report.whole import whole
from sg2bench.rows import is_line, last_steps, of_half, read, refuse_mixed_configurations, refuse_other_lines, summarize
from sg2bench.rows import models as models_of

_SEVERAL = {"experiment": "experiments", "data_fingerprint": "data fingerprints", "protocol": "protocols"}


def write(results_file: Path, out: Path, command: str) -> Path:
    """Write summary, leaderboard, plots and `report.html` of rows, each run at its last step; returns the page's path.

    `command` is shown as what made them, unless `experiment.yaml` knows better.

    Training curves (`curves.csv`), sample grids (`grids/<variant>-<mode>.png`) and the experiment (`experiment.yaml`)
    are taken from the folder of the rows where they are there. An earlier report in `out` is replaced when all of this
    one is written, and stays as it was if something fails. Raises ValueError as `rows.read` and `material.read`, for
    rows of several experiments, image sets, protocols or configurations, and for a folder whose `results.csv` is
    another file.
    """
    everything = read(results_file)
    refuse_other_lines(everything, results_file)
    table = last_steps(everything)
    if not results_file.is_file():
        raise ValueError(f"{results_file}: is no regular file, and a report keeps a copy")
    _refuse_mixture(table, results_file)
    halves = pd.concat(_halves(everything, table, results_file))
    source = results_file.parent
    in_place = source.resolve() == out.resolve()
    if in_place and results_file.name != RESULTS:
        raise ValueError(f"{results_file}: give the report another folder with --out; this one is for {RESULTS}")
    found = material.read(source, dict.fromkeys(table["variant"]), dict.fromkeys(table["mode"]))
    command = material.command(source) or command
    files = {Path(RESULTS): results_file} | found.files
    board = variants.markdown(table, command)
    ranked = variants.order(table)
    shown = variants.in_order(table, ranked)
    if odd := plots.undrawable("".join({*table["source"], *table["target"]})):
        warnings.warn(f"the plots' font has no {' '.join(odd)}: boxes stand for them in the plots", stacklevel=2)
    with whole(out, in_place, () if in_place else files) as new:
        if not in_place:
            for place, file in files.items():
                copy(file, new / place)
            files = {place: new / place for place in files}
        files[Path(SUMMARY)] = new / SUMMARY
        with atomic_file(new / SUMMARY) as temporary:
            summarize(table).to_csv(temporary, index=False, float_format="%.6g")
        text = page.render(
            table,
            grids=figures.grids(shown, files),
            plots=figures.plots_of(shown, new),
            training=steps.training(variants.in_order(halves, ranked), new, found.experiment),
            curves=[] if found.curves is None else [figures.curves(variants.in_order(found.curves, ranked), new)],
            downloads=[files[place] for place in map(Path, (RESULTS, SUMMARY, CURVES, EXPERIMENT)) if place in files],
            command=command,
            experiment=found.experiment,
        )
        for name, content in ((VARIANTS, board), (PAGE, text)):
            with atomic_file(new / name) as temporary:
                temporary.write_text(content, encoding="utf-8")
    return out / PAGE


def _refuse_mixture(table: pd.DataFrame, results_file: Path) -> None:
    """Raise ValueError for rows that cannot stand together."""
    if is_line(table).all():
        raise ValueError(f"{results_file}: holds reference lines only, no variant")
    _refuse_other_values(table, results_file)
    refuse_mixed_configurations(table, results_file)
    models = models_of(table)
    _refuse_other_pairs(models, results_file)
    _refuse_other_counts(models, results_file)


def _halves(everything: pd.DataFrame, table: pd.DataFrame, results_file: Path) -> Iterator[pd.DataFrame]:
    """The rows of half of the sources of the models of the table. Raises ValueError for those that cannot stand
    together.
    """
    for half in ("even", "odd"):
        rows = of_half(everything[everything["variant"].isin(models_of(table)["variant"])], half)
        _refuse_other_values(rows, results_file)
        refuse_mixed_configurations(rows, results_file)
        yield rows


def _refuse_other_values(table: pd.DataFrame, results_file: Path) -> None:
    for column, several in _SEVERAL.items():
        if len(found := sorted(set(table[column]))) > 1:
            raise ValueError(f"{results_file}: rows of several {several} cannot stand together: {', '.join(found)}")
    for metric, of_metric in table.groupby("metric", sort=False)["protocol_hash"]:
        if len(found := sorted(set(of_metric))) > 1:
            raise ValueError(
                f"{results_file}: rows of several protocol hashes cannot stand together: {metric} has "
                f"{', '.join(found)}"
            )


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
