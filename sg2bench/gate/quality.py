"""The gate on quality: compare result rows with a baseline, per variant, mode, metric and target domain, over seeds."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sg2bench import rows as row_table
from sg2bench import texts
from sg2bench.catalog import METRICS
from sg2bench.files import atomic_file, locked
from sg2bench.rows import (
    averaged_steps,
    is_line,
    last_steps,
    of_pairs,
    refuse_earlier_values,
    refuse_mixed_configurations,
)
from sg2bench.statistics import FAIL_LEVEL, PASS_LEVEL, difference, holm

PASS, REGRESSION, INCONCLUSIVE = "pass", "regression", "inconclusive"
Values: TypeAlias = "pd.Series[float]"
_LEAST_SHARE = 1e-12
"""Smaller than any positive share of images."""
KEYS = ["variant", "mode", "metric", "target"]
_Pairs: TypeAlias = "frozenset[tuple[str, int, int]]"
"""Pairs of domains with n_real and n_fake."""


def margins(given: Mapping[str, float] | None = None, declared: Mapping[str, float] | None = None) -> dict[str, float]:
    """Return the margin of each metric: the `given` one, else that `declared` by an experiment, else the catalogue's.

    Raises ValueError for an unknown metric, or a margin that is not positive.
    """
    chosen = {name: entry.margin for name, entry in METRICS.items()} | dict(declared or {})
    for name, share in (given or {}).items():
        if name not in METRICS:
            raise ValueError(f"--margin {name}={share}: no such metric (known: {', '.join(METRICS)})")
        if not 0 < share < float("inf"):
            raise ValueError(f"--margin {name}={share}: expected a finite number above 0")
        chosen[name] = share
    return chosen


def compare(results_file: Path, baseline_file: Path, shares: dict[str, float], steps: int = 1) -> pd.DataFrame:
    """Return a line with a verdict for each variant, mode, metric and target of the baseline.

    Verdicts:

    * `pass`: a worsening by the margin or more is ruled out (one-sided, 5 %; a non-inferiority test).
    * `regression`: not ruled out, and significantly worse (one-sided, 1 % for all lines together, see `adjust`).
    * `inconclusive`: neither; `seeds_needed` estimates how many seeds would rule out the margin.

    `worse_by` is a share of the baseline, or in the metric's unit if `absolute`; `margin` is in the metric's unit.
    Seeds are paired if both sides have the same. `scale_sides` defines the scale of the test, on which `baseline` and
    `value` are means (geometric means for logarithms). With `steps` above 1, each run's values are means over its last
    `steps` evaluated steps, on the even sources. Raises ValueError if the files cannot be compared, because protocol,
    data or counts differ or rows are missing.
    """
    new, old = _comparable(results_file, baseline_file, steps)
    changed = not _is_same(new, old)
    of_new, of_old = (dict(list(table.groupby(KEYS, sort=False))) for table in (new, old))
    lines, differences, rooms = [], [], []
    for key, old_rows in of_old.items():
        metric = old_rows["metric"].iloc[0]
        now, then = (rows.set_index("seed")["value"] for rows in (of_new[key], old_rows))
        ours, theirs, room = scale_sides(metric, now, then, shares[metric])
        value, baseline = (_center(values, _by_logarithms(metric, now, then)) for values in (now, then))
        worse, whole = METRICS[metric].sign * (value - baseline), _whole(metric, baseline)
        resolution = _resolution(metric, old_rows, now, then) / steps if changed else 0.0
        found = difference(ours, theirs, resolution)
        differences.append(found)
        rooms.append(room)
        lines.append(
            old_rows[KEYS].iloc[0].to_dict()
            | {"baseline": baseline, "value": value}
            | {"worse_by": worse / whole if whole else worse, "margin": shares[metric] * whole}
            | {"absolute": METRICS[metric].absolute}
            | {"seeds": found.seeds, "results_seeds": len(now), "baseline_seeds": len(then)}
            | {"paired": found.paired, "p_pass": found.p_at_least(room)}
        )
    table = pd.DataFrame(lines)
    p_worse = np.array([found.p_at_most_zero() for found in differences])
    table["p_fail"] = adjust(p_worse, (table["target"] == "*").to_numpy())
    table["verdict"] = judge(table["p_pass"].to_numpy(), table["p_fail"].to_numpy())
    table["seeds_needed"] = pd.array(
        [found.seeds_needed(room) for found, room in zip(differences, rooms, strict=True)], dtype="Int64"
    )
    table.attrs |= new.attrs
    return table


def scale_sides(metric: str, now: Values, then: Values, margin: float) -> tuple[Values, Values, float]:
    """Return both sides and the margin on the scale of the test, where larger is worse.

    The scale is logarithmic, as margins and the spread over seeds are relative. It is linear for metrics whose margin
    is absolute or that may be negative (kernel distances, extrapolated ones), and if a value is zero.
    """
    sign = METRICS[metric].sign
    if not _by_logarithms(metric, now, then):
        return sign * now, sign * then, margin * _whole(metric, float(then.mean()))
    worst = 1 + sign * margin
    return sign * now.map(np.log), sign * then.map(np.log), sign * np.log(worst) if worst > 0 else np.inf


def _by_logarithms(metric: str, now: Values, then: Values) -> bool:
    entry = METRICS[metric]
    return not entry.signed and not entry.absolute and min(now.min(), then.min()) > 0


def _whole(metric: str, baseline: float) -> float:
    """Return the unit of a metric's margins and worsenings: the baseline, or 1 if they are absolute."""
    return 1.0 if METRICS[metric].absolute else abs(baseline)


def _is_same(new: pd.DataFrame, old: pd.DataFrame) -> bool:
    """Whether all values are equal, which only an unchanged model has."""
    ours, theirs = (table.set_index([*KEYS, "seed"])["value"].sort_index() for table in (new, old))
    return ours.equals(theirs)


def _resolution(metric: str, rows: pd.DataFrame, now: Values, then: Values) -> float:
    """Return how far one image moves a value, on the scale of the test; 0 for a metric that does not count images."""
    if not METRICS[metric].counted:
        return 0.0
    resolution = 1 / min(rows["n_real"].min(), rows["n_fake"].min())
    smallest = max(min(now.min(), then.min()), _LEAST_SHARE)
    return float(resolution / smallest if _by_logarithms(metric, now, then) else resolution)


def _center(values: Values, by_logarithms: bool) -> float:
    return float(np.exp(np.log(values).mean()) if by_logarithms else values.mean())


def adjust(p: NDArray[np.float64], overall: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Adjust p values for the number of lines (Holm 1979). The means over all domains, which are few and less noisy,
    share one half of the level; the lines of single domains share the other.
    """
    adjusted = p.copy()
    for half in (overall, ~overall):
        adjusted[half] = np.minimum(2 * holm(p[half]), 1)
    return adjusted


def judge(p_pass: NDArray[np.float64], p_fail: NDArray[np.float64]) -> NDArray[np.str_]:
    """Return a verdict for each line; `p_fail` is adjusted for the number of lines."""
    return np.select([p_pass <= PASS_LEVEL, p_fail <= FAIL_LEVEL], [PASS, REGRESSION], INCONCLUSIVE)


def compare_exactly(results_file: Path, baseline_file: Path, tolerance: float) -> pd.DataFrame:
    """Compare each seed's value with the baseline's, for code that must not change values.

    A difference above the tolerance is a `regression`. The tolerance is a share of the baseline, or absolute if the
    metric's margin is. One seed is enough. Raises ValueError like `compare`, and for a missing seed.
    """
    refuse_bad_share("--exact", tolerance)
    new, old = _comparable(results_file, baseline_file)
    keys = [*KEYS, "seed"]
    table = old.set_index(keys)[["value"]].rename(columns={"value": "baseline"}).join(new.set_index(keys)["value"])
    if (missing := table["value"].isna()).any():
        raise ValueError(f"{results_file}: has no seed {int(table.index[missing][0][-1])}, which {baseline_file} has")
    table = table.reset_index()
    change = table["value"] - table["baseline"]
    sign = table["metric"].map({name: entry.sign for name, entry in METRICS.items()})
    table["absolute"] = table["metric"].map({name: entry.absolute for name, entry in METRICS.items()}).astype(bool)
    whole = table["baseline"].abs().where(~table["absolute"], 1)
    table["worse_by"] = sign * change / whole.where(whole != 0, 1)
    table["margin"] = tolerance * whole
    table["verdict"] = np.where(change.abs() <= table["margin"], PASS, REGRESSION)
    table.attrs |= new.attrs
    return table


def update_baseline(results_file: Path, baseline_file: Path, reason: str, command: str) -> None:
    """Replace the baseline with the rows, and add a line with reason, origin and date to its history `<baseline>.md`.

    Raises ValueError if the rows cannot be read or used as a baseline, or if the history would be the same file.
    """
    history = baseline_file.with_suffix(".md")
    if history == baseline_file:
        raise ValueError(f"--baseline {baseline_file}: its history would be the same file; name a CSV")
    _comparable(results_file, results_file)
    table = row_table.read(results_file)
    versions, devices = (row_table.listed(table[column]) for column in ("sg2bench_version", "device"))
    made = f"sg2bench {versions} at {row_table.commits(table)}, {devices}"
    said = f"{texts.markdown(' '.join(reason.split()))} ({len(table)} rows, {texts.markdown(made)}"
    line = f"- {row_table.days(table)}: {said}; {texts.markdown_code(command)})\n"
    with locked(baseline_file):
        before = f"# History of {texts.markdown(baseline_file.name)}\n\n"
        if history.is_file():
            before = history.read_text(encoding="utf-8", errors="surrogateescape").removesuffix("\n") + "\n"
        row_table.write(table, baseline_file)
        with atomic_file(history) as temporary:
            temporary.write_text(before + line, encoding="utf-8", errors="surrogateescape")


def verdict(table: pd.DataFrame) -> str:
    """Return the worst verdict of all lines."""
    return next((word for word in (REGRESSION, INCONCLUSIVE) if (table["verdict"] == word).any()), PASS)


def _comparable(results_file: Path, baseline_file: Path, steps: int = 1) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the comparable rows of both: means over sources, for the metrics of the baseline.

    `attrs["left_out"]` of the first names the variants and metrics that the baseline lacks.
    """
    whole = [_model_rows(path, steps) for path in (results_file, baseline_file)]
    if steps > 1 and (odd := _other_steps(*whole)):
        raise ValueError(
            f"the last {steps} evaluated steps of {results_file} and {baseline_file} differ: only one of them has "
            f"{odd}; train both with the same train.steps and train.evaluate_every or evaluate_at"
        )
    _warn_of_other_lengths(whole[0], whole[1], results_file, baseline_file)
    new, old = (table[table["source"] == "*"] for table in whole)
    left_out = [name for key in ("variant", "metric") for name in sorted(set(new[key]).difference(old[key]))]
    new = new[new["metric"].isin(old["metric"])]
    for column in ("data_fingerprint", "protocol_hash"):
        each = (table[["metric", column]].drop_duplicates().itertuples(index=False, name=None) for table in (new, old))
        ours, theirs = ({" ".join(pair) for pair in pairs} for pairs in each)
        if {pair for pair in ours ^ theirs if pair.split()[0] in set(new["metric"])}:
            raise ValueError(
                f"{column} differs, so values cannot be compared: {listed(ours)} in {results_file}, "
                f"{listed(theirs)} in {baseline_file}"
            )
    now, then = _counts(new), _counts(old)
    if missing := [key for key in then if key not in now]:
        raise ValueError(f"{results_file}: has no row for {' / '.join(missing[0])}, which {baseline_file} has")
    for key, counts in then.items():
        if now[key] != counts or len(counts) > 1:
            raise ValueError(
                f"{' / '.join(key)}: values of unequal counts (n_real, n_fake) cannot be compared: {listed(now[key])} "
                f"in {results_file}, {listed(counts)} in {baseline_file}"
            )
    of_new, of_old = map(_pairs, whole)
    for key in then:
        if key in of_new and key in of_old and (of_new[key] != of_old[key] or len(of_old[key]) > 1):
            raise ValueError(
                f"{' / '.join(key)}: means over different pairs of domains, or over pairs of unequal counts, cannot be "
                f"compared: not every seed of {results_file} and {baseline_file} has "
                f"{_differing(of_new[key] | of_old[key])}"
            )
    new.attrs["left_out"] = left_out
    return new, old


def _other_steps(new: pd.DataFrame, old: pd.DataFrame) -> str:
    """Name a variant of the baseline and the steps at which only one side measured it; empty if the steps agree."""
    ours, theirs = (set(zip(table["variant"], table["steps"], strict=True)) for table in (new, old))
    odd = sorted(each for each in ours ^ theirs if each[0] in set(old["variant"]))
    return f"{odd[0][0]} at {odd[0][1]}" if odd else ""


def _warn_of_other_lengths(new: pd.DataFrame, old: pd.DataFrame, results_file: Path, baseline_file: Path) -> None:
    """Warn if a variant's runs are of different steps, as a baseline trained for less time hides a worse model."""
    ours, theirs = (table.groupby("variant")["step"].agg(set) for table in (new, old))
    for variant in theirs.index.intersection(ours.index):
        if ours[variant] != theirs[variant]:
            sides = ((ours, results_file), (theirs, baseline_file))
            at = " and ".join(f"step {texts.rounded(max(found[variant]), 9)} in {file}" for found, file in sides)
            warnings.warn(f"{variant} is compared at {at}", stacklevel=3)
            return


def _model_rows(path: Path, steps: int) -> pd.DataFrame:
    """Read a file's rows of models, each run at its last steps. Raises ValueError if they hold no comparable means."""
    table = row_table.read(path)
    if len(found := set(table[~is_line(table)]["experiment"])) > 1:
        raise ValueError(f"{path}: rows of several experiments cannot be compared: {listed(found)}")
    refuse_earlier_values(table, path)
    table = averaged_steps(table, steps, path) if steps > 1 else last_steps(table)
    refuse_mixed_configurations(table, path)
    rows = table[~is_line(table)]
    means = rows[rows["source"] == "*"]
    if means.empty:
        raise ValueError(f"{path}: has no rows of a model's target domains to compare")
    keys = [*KEYS, "seed"]
    if (twice := means.duplicated(keys)).any():
        row = means[twice].iloc[0]
        raise ValueError(f"{path}: has {' / '.join(str(row[key]) for key in keys)} twice")
    return rows


def _counts(table: pd.DataFrame) -> dict[tuple[str, ...], set[tuple[int, int]]]:
    counts: dict[tuple[str, ...], set[tuple[int, int]]] = {}
    for *key, n_real, n_fake in table[[*KEYS, "n_real", "n_fake"]].itertuples(index=False, name=None):
        counts.setdefault(tuple(key), set()).add((int(n_real), int(n_fake)))
    return counts


def _pairs(table: pd.DataFrame) -> dict[tuple[str, ...], set[_Pairs]]:
    """Return the pairs of domains behind each line, if the file holds them; several sets if seeds differ."""
    pairs = of_pairs(table)
    pairs = pairs.assign(source=pairs["source"] + " → " + pairs["target"])
    found: dict[tuple[str, ...], set[_Pairs]] = {}
    for key, rows in pd.concat([pairs, pairs.assign(target="*")]).groupby([*KEYS, "seed"], sort=False):
        each = rows[["source", "n_real", "n_fake"]].itertuples(index=False, name=None)
        found.setdefault(tuple(map(str, key[:-1])), set()).add(frozenset(each))
    return found


def _differing(sets: set[_Pairs]) -> str:
    """Describe a pair that is not in all of the sets."""
    pair, n_real, n_fake = min(frozenset.union(*sets) - frozenset.intersection(*sets))
    return f"{pair} (n_real {n_real}, n_fake {n_fake})"


def refuse_bad_share(option: str, share: float) -> None:
    if not 0 <= share < np.inf:
        raise ValueError(f"{option} {share}: expected a share such as 0.05")


def listed(values: Iterable[object]) -> str:
    return ", ".join(sorted(map(str, values))) or "none"
