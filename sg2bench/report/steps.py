"""Quality over training: curves of values over the steps of runs, and the best step of each variant."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from sg2bench import yaml_files
from sg2bench.catalog import METRICS
from sg2bench.layout import STEPS_PLOT
from sg2bench.report import figures, plots
from sg2bench.report.figures import Picture
from sg2bench.report.variants import spread
from sg2bench.rows import of_half, overall
from sg2bench.statistics import mean_interval


@dataclass(frozen=True)
class Training:
    """The part of a page about steps: the curves, and the table of best steps."""

    curves: Picture
    header: list[str]
    rows: list[list[str]]
    caption: str


def training(halves: pd.DataFrame, out: Path, experiment: str) -> Training | None:
    """Draw the curves and compare the best steps with the last ones, from rows of half of the sources. Return None if
    there are no rows of the even ones. `experiment` is the YAML that may name the metric that chose the best steps.
    """
    even, odd = overall(of_half(halves, "even")), overall(of_half(halves, "odd"))
    if even.empty:
        return None
    plots.save(curves_plot(even), out / STEPS_PLOT)
    bands = "95 % interval over seeds" if even["seed"].nunique() > 1 else "95 % interval of the value"
    caption = (
        f"Mean over all pairs of domains and over seeds, only on the even sources. Bands: {bands}. A triangle at the "
        f"edge marks the extreme of a variant that reaches {plots.FARTHEST} times as far from zero as the others. "
        f"{figures.counts(of_half(halves, 'even'))}"
    )
    reading = (
        "if a line still improves at the end, the variant needs more steps; if it gets worse again, it had too many. "
        "Overlapping bands may still differ, as seeds are paired. Half of the sources give different values, so "
        "compare these values only with each other."
    )
    picture = Picture("Values over training", caption, reading, out / STEPS_PLOT)
    metric = _chosen_by(even, experiment)
    header, rows = best_steps(odd, metric)
    return Training(picture, header, rows, _caption(metric))


def curves_plot(even: pd.DataFrame) -> Figure:
    """Draw a panel for each metric and mode, with a line per variant: mean over seeds, with its interval."""
    panels = list(even[["metric", "mode"]].drop_duplicates().itertuples(index=False, name=None))
    variants = list(dict.fromkeys(even["variant"]))
    looks = dict(zip(variants, plots.looks(len(variants)), strict=True))
    columns = min(plots.ACROSS, len(panels))
    rows = -(-len(panels) // columns)
    with mpl.rc_context(plots.STYLE | {"font.size": 8}):
        figure = Figure(figsize=(max(5.5, 2.75 * columns), 2.3 * rows + 0.5), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
        for axis, (metric, mode) in zip(axes, panels, strict=False):
            of_panel = even[(even["metric"] == metric) & (even["mode"] == mode)]
            found = {variant: rows for variant in variants if len(rows := of_panel[of_panel["variant"] == variant])}
            points = {variant: _points(rows) for variant, rows in found.items()}
            ends = plots.limits({variant: line["mean"] for variant, line in points.items()})
            for variant, line in points.items():
                axis.plot(line.index, line["mean"], marker=".", linewidth=1.3, **looks[variant])
                low, high = (line[end].clip(*ends) for end in ("low", "high"))
                inside = line["mean"].between(*ends)
                axis.fill_between(line.index, low, high, inside, color=looks[variant]["color"], alpha=0.13, linewidth=0)
            axis.set_ylim(*ends)
            colours = [looks[variant]["color"] for variant in points]
            plots.mark_farthest(axis, [line["mean"] for line in points.values()], colours)
            axis.set_title(f"{metric} {METRICS[metric].arrow}, {mode}")
            axis.set_xlabel("step")
        for axis in axes[len(panels) :]:
            axis.set_axis_off()
        plots.legend(figure, [mpl.lines.Line2D([], [], **look) for look in looks.values()], variants)
    return figure


def _points(of_variant: pd.DataFrame) -> pd.DataFrame:
    """Return the mean by step, and the ends of its interval: over seeds, or of a single seed's value."""
    points = {}
    for step, values in of_variant.groupby("step"):
        mean, half = mean_interval(values["value"].to_numpy(float))
        low, high = (mean - half, mean + half) if len(values) > 1 else values[["ci_low", "ci_high"]].iloc[0]
        points[step] = mean, float(low), float(high)
    return pd.DataFrame.from_dict(points, orient="index", columns=["mean", "low", "high"])


def best_steps(odd: pd.DataFrame, metric: str) -> tuple[list[str], list[list[str]]]:
    """Return header and rows as text: each variant's best step by seed, and by mode the values there and at the last
    step, on the sources that did not choose it.
    """
    sides = [f"{metric} at the {side} step {METRICS[metric].arrow}" for side in ("best", "last")]
    rows = []
    of_metric = odd[odd["metric"] == metric]
    for (variant, mode), values in of_metric.groupby(["variant", "mode"], sort=False):
        by_seed = values.sort_values("step").groupby("seed")
        best, last = by_seed.first(), by_seed.last()
        change = best["value"] - last["value"]
        chosen = dict.fromkeys(best["step"]) if best["step"].nunique() == 1 else best["step"]
        cells = [spread(side["value"].mean(), side["value"].std()) for side in (best, last)]
        cells.append(spread(change.mean(), change.std(), signed=True))
        rows.append([str(variant), str(mode), ", ".join(map(str, chosen)), *cells])
    return ["variant", "mode", "best step", *sides, "best minus last"], rows


def _chosen_by(even: pd.DataFrame, experiment: str) -> str:
    """Return the metric that chose the best steps: the experiment's `train.best_by`, or its first."""
    plain = yaml_files.parse(experiment)
    train, evaluate = (plain.get(key) if isinstance(plain, dict) else None for key in ("train", "evaluate"))
    named = train.get("best_by") if isinstance(train, dict) else None
    listed = evaluate.get("metrics") if isinstance(evaluate, dict) else None
    candidates = [named, *(listed if isinstance(listed, list) else [])]
    return next((str(each) for each in candidates if each in list(even["metric"])), str(even["metric"].iloc[0]))


def _caption(metric: str) -> str:
    return (
        f"The best step of each seed (one number if it is the same for all), chosen by {metric} on the even sources. "
        "Values are from the odd sources, which played no part in the choice. They are mean ± standard deviation over "
        "seeds; the difference is paired by seed. All other tables and plots of this page use the last step and all "
        "sources."
    )
