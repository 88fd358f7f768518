"""A report folder from result rows: CSV, leaderboard, plots, and one self-contained HTML page."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from sg2bench.files import atomic_file, copy, make_writable
from sg2bench.layout import CURVES, EXPERIMENT, GRIDS, PAGE, RESULTS, SUMMARY, VARIANTS
from sg2bench.report import figures, material, page, plots, variants
from sg2bench.rows import is_line, last_steps, read, refuse_mixed_configurations, summarize
from sg2bench.rows import models as models_of


def write(results_file: Path, out: Path, command: str) -> Path:
    """Write summary, leaderboard, plots and `report.html` of rows, each run at its last step; returns the page's path.

    `command` is shown as what made them, unless `experiment.yaml` knows better.

    Training curves (`curves.csv`), sample grids (`grids/<variant>-<mode>.png`) and the experiment (`experiment.yaml`)
    are taken from the folder of the rows where they are there. An earlier report in `out` is replaced when all of this
    one is written, and stays as it was if something fails. Raises ValueError as `rows.read` and `material.read`, for
    rows of several experiments, image sets, protocols or configurations, and for a folder whose `results.csv` is
    another file.
    """
    table = last_steps(read(results_file))
    if not results_file.is_file():
        raise ValueError(f"{results_file}: is no regular file, and a report keeps a copy")
    _refuse_mixture(table, results_file)
    source = results_file.parent
    in_place = source.resolve() == out.resolve()
    if in_place and results_file.name != RESULTS:
        raise ValueError(f"{results_file}: give the report another folder with --out; this one is for {RESULTS}")
    found = material.read(source, dict.fromkeys(table["variant"]), dict.fromkeys(table["mode"]))
    command = material.command(source) or command
    files = {Path(RESULTS): results_file} | found.files
    board = variants.markdown(table, command)
    if odd := plots.undrawable("".join({*table["source"], *table["target"]})):
        warnings.warn(f"the plots' font has no {' '.join(odd)}: boxes stand for them in the plots", stacklevel=2)
    with _whole(out, in_place) as new:
        if not in_place:
            for place, file in files.items():
                copy(file, new / place)
            files = {place: new / place for place in files}
        files[Path(SUMMARY)] = new / SUMMARY
        with atomic_file(new / SUMMARY) as temporary:
            summarize(table).to_csv(temporary, index=False, float_format="%.6g")
        text = page.render(
            table,
            grids=figures.grids(table, files),
            plots=figures.values(table, new),
            heatmaps=figures.heatmaps(table, new),
            curves=[] if found.curves is None else [figures.curves(found.curves, new)],
            downloads=[files[place] for place in map(Path, (RESULTS, SUMMARY, CURVES, EXPERIMENT)) if place in files],
            command=command,
            experiment=found.experiment,
        )
        for name, content in ((VARIANTS, board), (PAGE, text)):
            with atomic_file(new / name) as temporary:
                temporary.write_text(content, encoding="utf-8")
    return out / PAGE


@contextmanager
def _whole(out: Path, in_place: bool) -> Iterator[Path]:
    """A folder to write a report to; at the end its files take their places in `out`, and an earlier report is gone.

    Raises ValueError, before the report is written, if nothing can be written to `out`, and OSError that names a file
    of it.
    """
    try:
        make_writable(out)
    except OSError as error:
        raise ValueError(f"{out}: {error.strerror}") from None
    with tempfile.TemporaryDirectory(dir=out, prefix=".tmp-") as folder:
        try:
            yield Path(folder)
            _replace(Path(folder), out, in_place)
        except OSError as error:
            name = str(error.filename or out).replace(folder, str(out))
            raise type(error)(error.errno, error.strerror or str(error), name) from error


def _replace(new: Path, out: Path, in_place: bool) -> None:
    """Move the files of a new report to their places, the page last; what only an earlier one had is removed."""
    places = sorted((file.relative_to(new) for file in new.rglob("*") if file.is_file()), key=lambda p: p == Path(PAGE))
    for place in places:
        if in_place and not (out / place).resolve().is_relative_to(out.resolve()):
            raise ValueError(
                f"{out / place}: is a link that leads out of {out}; remove it, or name another --out folder"
            )
        with (new / place).open("rb") as file:
            os.fsync(file.fileno())
    if not in_place and (out / PAGE).is_file():
        earlier = [Path(CURVES), Path(EXPERIMENT), *(file.relative_to(out) for file in (out / GRIDS).glob("*.png"))]
        for place in earlier:
            if place not in places:
                (out / place).unlink(missing_ok=True)
    for place in places:
        target = Path(os.path.realpath(out / place))
        target.parent.mkdir(parents=True, exist_ok=True)
        (new / place).replace(target)


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
