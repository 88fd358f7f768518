"""A report folder from result rows: CSV, leaderboard, plots, and one self-contained HTML page."""

from __future__ import annotations

import base64
import shutil
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import jinja2
import pandas as pd
import yaml

from sg2bench import cache, results
from sg2bench.config import REFERENCE_LINES
from sg2bench.report import leaderboard, plots
from sg2bench.results import better, summarize

RESULTS, SUMMARY, CURVES = "results.csv", "summary.csv", "curves.csv"
EXPERIMENT, GRIDS = "experiment.yaml", "grids"
MADE_BY = "# Made by: "
"""Begins `experiment.yaml`; the command that made the rows follows."""


@dataclass(frozen=True)
class Picture:
    title: str
    caption: str
    file: Path

    @property
    def data_uri(self) -> str:
        return "data:image/png;base64," + base64.b64encode(self.file.read_bytes()).decode()


def write(results_file: Path, out: Path, command: str) -> Path:
    """Write summary, leaderboard, plots and `report.html` of rows; returns the page's path.

    `command` is shown as what made them, unless `experiment.yaml` knows better.

    Training curves (`curves.csv`), sample grids (`grids/<variant>-<mode>.png`) and the experiment (`experiment.yaml`)
    are taken from beside the rows where they are. Raises ValueError as `results.read`, for rows of several experiments,
    image sets or protocols, and for a folder whose `results.csv` is another file.
    """
    table = results.read(results_file)
    _refuse_mixture(table, results_file)
    if (table["variant"].isin(REFERENCE_LINES)).all():
        raise ValueError(f"{results_file}: holds reference lines only, no variant")
    source = results_file.parent
    in_place = source.resolve() == out.resolve()
    if in_place and results_file.name != RESULTS:
        raise ValueError(f"{results_file}: give the report another folder with --out; this one is for {RESULTS}")
    out.mkdir(parents=True, exist_ok=True)
    if not in_place:
        shutil.copyfile(results_file, out / RESULTS)
        for name in (CURVES, EXPERIMENT):
            if (source / name).is_file():
                shutil.copyfile(source / name, out / name)
        if (source / GRIDS).is_dir():
            shutil.copytree(source / GRIDS, out / GRIDS, dirs_exist_ok=True)
    experiment = (out / EXPERIMENT).read_text(encoding="utf-8") if (out / EXPERIMENT).is_file() else ""
    if experiment.startswith(MADE_BY):
        command = experiment.partition("\n")[0].removeprefix(MADE_BY)
    with cache.atomic_file(out / SUMMARY) as temporary:
        summarize(table).to_csv(temporary, index=False, float_format="%.6g")
    with cache.atomic_file(out / "leaderboard.md") as temporary:
        temporary.write_text(leaderboard.markdown(table, command), encoding="utf-8")
    pictures, grids = _plots(table, out), _grids(table, out)
    page = _page(table, pictures, grids, command, experiment)
    with cache.atomic_file(out / "report.html") as temporary:
        temporary.write_text(page, encoding="utf-8")
    return out / "report.html"


def _plots(table: pd.DataFrame, out: Path) -> list[Picture]:
    pictures = []
    for metric in dict.fromkeys(table["metric"]):
        file = out / f"{metric}.png"
        plots.save(plots.variants_plot(table, metric), file)
        direction = f"{better(metric).capitalize()} is better"
        lines = ""
        if metric.startswith("fd_"):
            lines = (
                " Dashed: real validation images of the target, the floor. Dotted: untranslated sources, what doing "
                "nothing scores; a variant above it makes worse images of the target than the sources are."
            )
        pictures.append(
            Picture(
                f"{metric} by variant",
                f"{direction}. Dots are seeds, squares their mean, whiskers one standard deviation.{lines}",
                file,
            )
        )
        file = out / f"{metric}-by-target.png"
        plots.save(plots.targets_plot(table, metric), file)
        caption = (
            f"Mean over the sources of each target domain. {direction}. Whiskers: one standard deviation over seeds."
        )
        pictures.append(Picture(f"{metric} by target domain", caption, file))
    if (out / CURVES).is_file():
        file = out / "curves.png"
        plots.save(plots.curves_plot(pd.read_csv(out / CURVES)), file)
        caption = (
            "Each loss term, unweighted, mean over seeds, over training steps. A missing line: the variant is without."
        )
        pictures.append(Picture("Training curves", caption, file))
    return pictures


def _grids(table: pd.DataFrame, out: Path) -> list[Picture]:
    captions = {
        "latent": "Sources across; below, each row one latent code in one target domain, domains in name order.",
        "reference": "Sources across; below, each row one reference image (left), whose style every source takes.",
    }
    return [
        Picture(f"{variant}, {mode} guidance", captions.get(mode, ""), file)
        for variant in dict.fromkeys(table["variant"])
        for mode in captions
        if (file := out / GRIDS / f"{variant}-{mode}.png").is_file()
    ]


def _page(table: pd.DataFrame, pictures: list[Picture], grids: list[Picture], command: str, experiment: str) -> str:
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    template = resources.files("sg2bench.report").joinpath("report.html.jinja").read_text(encoding="utf-8")
    header, rows = leaderboard.leaderboard(table)
    by_pair = table[(table["source"] != "*") & ~table["variant"].isin(REFERENCE_LINES)]
    pairs = by_pair.groupby(["metric", "mode", "variant", "source", "target"], sort=False)["value"]
    return environment.from_string(template).render(
        experiment=table["experiment"].iloc[0],
        header=header,
        rows=rows,
        caption=leaderboard.caption(table),
        pictures=pictures,
        grids=grids,
        pairs=[
            (*key, leaderboard.spread(mean, deviation), int(count))
            for key, mean, deviation, count in pairs.agg(["mean", "std", "count"]).itertuples(name=None)
        ],
        command=command,
        configuration=experiment,
        description=(yaml.safe_load(experiment) or {}).get("description", ""),
    )


def _refuse_mixture(table: pd.DataFrame, results_file: Path) -> None:
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
    for (mode, metric, source, target), group in models.groupby(["mode", "metric", "source", "target"], sort=False):
        for column in ("n_real", "n_fake"):
            if len(counts := sorted(set(group[column].astype(int)))) > 1:
                raise ValueError(
                    f"{results_file}: {mode} {metric} {source} → {target} has {column} {', '.join(map(str, counts))}; "
                    "values of unequal counts cannot stand together"
                )
