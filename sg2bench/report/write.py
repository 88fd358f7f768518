"""A report folder from result rows: CSV, leaderboard, plots, and one self-contained HTML page."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from sg2bench.files import atomic_file, copy, write_text
from sg2bench.layout import CLAIMS, CURVES, EFFECTS, EXPERIMENT, PAGE, RESULTS, SUMMARY, VARIANTS
from sg2bench.report import answers, figures, folds, lead, material, page, plots, steps, variants
from sg2bench.report.whole import whole
from sg2bench.rows import judge_claims, last_steps, measure_effects, read, refuse_mixture, summarize

_DOWNLOADS = (RESULTS, SUMMARY, EFFECTS, CLAIMS, CURVES, EXPERIMENT)


def write(results_file: Path, out: Path, command: str) -> Path:
    """Write verdicts on claims, effects, summary, leaderboard, plots and `report.html` of rows, each run at its last
    step; return the page's path.

    `experiment.yaml`, training curves (`curves.csv`) and pictures (`grids/<variant>-<picture>.png`) are taken from the
    folder of the rows, if present. `experiment.yaml` may have claims, and names the command that made the rows; without
    it, that is `command`. An earlier report in `out` is replaced when this one is complete, and stays as it was if
    something fails. Raises ValueError like `rows.read` and `material.read`, for rows of several experiments, image
    sets, protocols or configurations, and for a folder whose `results.csv` is another file.
    """
    everything = read(results_file)
    refuse_mixture(everything, results_file)
    table = last_steps(everything)
    if not results_file.is_file():
        raise ValueError(f"{results_file}: is not a regular file, so the report cannot copy it")
    source = results_file.parent
    in_place = source.resolve() == out.resolve()
    if in_place and results_file.name != RESULTS:
        raise ValueError(f"{results_file}: give the report another folder with --out; this one is for {RESULTS}")
    found = material.read(source, dict.fromkeys(table["variant"]), dict.fromkeys(table["mode"]))
    command = material.command(source) or command
    files = {Path(RESULTS): results_file} | found.files
    declared = answers.declared(source)
    table, about = answers.in_declared_order(table, declared, results_file)
    missing = answers.without_rows(table, declared)
    claims = judge_claims(everything, declared.with_claims) if declared.with_claims else pd.DataFrame()
    ranked = variants.order(table)
    effects = variants.in_order(measure_effects(table, about), ranked)
    board = variants.markdown(table, effects, claims, command, missing)
    drawn, folded = folds.fold(table, ranked, about)
    shown = variants.in_order(folds.only(table, drawn), ranked)
    of_steps = variants.in_order(everything[everything["variant"].isin(drawn)], ranked)
    if odd := plots.undrawable("".join({*table["source"], *table["target"]})):
        warnings.warn(f"the plots' font has no {' '.join(odd)}: the plots show boxes instead", stacklevel=2)
    with whole(out, in_place, () if in_place else files) as new:
        if not in_place:
            for place, file in files.items():
                copy(file, new / place)
            files = {place: new / place for place in files}
        files |= _write_tables({SUMMARY: summarize(table), EFFECTS: effects, CLAIMS: claims}, new)
        text = page.render(
            table,
            effects,
            folded=folded,
            missing=missing,
            lead=lead.lead(folds.only(effects, drawn), claims, table, new),
            examples=figures.stacked(drawn, files, new),
            grids=figures.grids(shown, files),
            plots=figures.plots_of(shown, new),
            training=steps.training(of_steps, new, found.experiment),
            curves=figures.curves(found.curves, drawn, new),
            downloads=[files[place] for place in map(Path, _DOWNLOADS) if place in files],
            command=command,
            experiment=found.experiment,
        )
        for name, content in ((VARIANTS, board), (PAGE, text)):
            write_text(new / name, content)
    return out / PAGE


def _write_tables(tables: Mapping[str, pd.DataFrame], out: Path) -> dict[Path, Path]:
    """Write the tables that are not empty as CSV; return them by their places in the report."""
    written = {}
    for name, frame in tables.items():
        if len(frame):
            written[Path(name)] = out / name
            with atomic_file(out / name) as temporary:
                frame.to_csv(temporary, index=False, float_format="%.6g")
    return written
