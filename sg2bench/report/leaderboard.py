"""The leaderboard over all experiments: rows that people add, ranked only if comparable."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from sg2bench import rows as row_table
from sg2bench import texts
from sg2bench.catalog import METRICS, QUESTIONS, REFERENCE_LINES, heading, place_of_question
from sg2bench.csv_files import Forms
from sg2bench.files import locked, write_text
from sg2bench.hashes import stable_hash
from sg2bench.layout import EXPERIMENT, LEADERBOARD
from sg2bench.report import html, material
from sg2bench.report.ranks import ranks
from sg2bench.report.variants import hashes, number, span
from sg2bench.rows import (
    COUNT,
    HASH,
    OF_A_MODEL,
    OF_A_VALUE,
    ROW_KEY,
    is_line,
    last_steps,
    overall,
    refuse_mixed_configurations,
    refuse_other_lines,
)
from sg2bench.statistics import mean_interval

_OF_PAIRS: Forms = dict.fromkeys(("most_real", "most_fake"), COUNT) | {"pairs_hash": HASH}
"""Columns that describe the pairs behind a row: their largest counts, and a hash of them with their counts."""
_COMMAND: Forms = {
    "command": (
        f"(?=.){texts.PLAIN}",
        "a command in one line of visible text, not a spreadsheet formula",
    )
}
_Column: TypeAlias = tuple[str, str, str]
"""Metric, mode, and protocol hash."""
_MADE = ("seeds", "steps", "date", "commit", "command")
COLUMNS = [*row_table.COLUMNS, *_OF_PAIRS, *_COMMAND]
_IN_TABLES = sorted(METRICS, key=place_of_question)
"""All metrics, in the order of the columns of all tables."""
_LIKE = ["protocol", "data_fingerprint", "pairs_hash"]
"""Rows that share these, and the protocol hash of the metric that orders them, are ranked together."""
PUBLISHED = (
    ("images", "fid latent ↓", "lpips latent ↑", "fid reference ↓", "lpips reference ↑"),
    ("CelebA-HQ", "13.73 ± 0.06", "0.4515 ± 0.0006", "23.84 ± 0.03", "0.3880 ± 0.0001"),
    ("AFHQ", "16.18 ± 0.15", "0.4501 ± 0.0007", "19.78 ± 0.01", "0.4315 ± 0.0002"),
)
PUBLISHED_NOTE = (
    "Published by the authors of StarGAN v2, not measured here: their checkpoints of 100,000 iterations at 256 px, by "
    "their own evaluation (protocol `paper`), mean ± spread of 10 evaluations. An independent rerun of the CelebA-HQ "
    "checkpoint gave 13.74 / 0.4499 and 23.70 / 0.3879, partly outside these ranges. Never compare values of another "
    "protocol with these."
)
EXPLAINED = (
    "Only rows with the same protocol, images, pairs of domains and number of images per pair are ranked together. A "
    "cell is the mean over seeds ± half the width of its 95 % interval (Student's t), which covers the variation "
    "between runs; with two seeds that is ± 9 standard deviations. The rank in the column follows in brackets, as far "
    "as it is decided: (2–5) is anything from second to fifth. Every two entries are compared over seeds by Student's "
    "t-test, paired if both have the same seeds, otherwise by Welch's; distances and errors are compared by ratio. "
    "One entry ranks ahead of another if p < 0.05 after Holm's correction for all pairs of the column; overlapping "
    "intervals do not matter. An entry of one seed (†) has an interval only for the sample of images, and decides no "
    "rank. Entries are sorted by the first column of the first table of a section. Never compare values across "
    "sections."
)


@dataclass(frozen=True)
class Part:
    """A table of one question's metrics, as text. The first table also says what made the entries."""

    title: str
    header: list[str]
    rows: list[list[str]]


@dataclass(frozen=True)
class Ranking:
    """Entries that may be ranked together, best first; what they share is in the caption."""

    title: str
    caption: str
    parts: list[Part]


def add(files: Sequence[Path], folder: Path, command: str | None) -> tuple[Path, int, int]:
    """Merge the overall rows of result files, at the last step of each run, into `leaderboard.csv` of a folder, and
    write `leaderboard.md` and `.html` from all of its rows.

    A row replaces an earlier one with the same `rows.ROW_KEY`. `command` is noted for rows without an `experiment.yaml`
    next to them. Returns the page's path, and how many rows are new and replaced. Raises ValueError without changing
    anything if a file has a bad row (`rows.read`), no overall value or no command, or if a `leaderboard.md` or `.html`
    exists that is not from an earlier leaderboard.
    """
    board = folder / f"{LEADERBOARD}.csv"
    given = [_overall_rows(file, command) for file in files]
    with locked(board):
        _refuse_to_overwrite(board)
        parts = [_stored(board), *given] if board.is_file() else given
        before = sum(map(len, parts)) - sum(map(len, given))
        together = pd.concat(parts, ignore_index=True)
        table = together.drop_duplicates(ROW_KEY, keep="last")
        _write(table, board)
    return board.with_suffix(".html"), len(table) - before, len(together) - len(table)


def _refuse_to_overwrite(board: Path) -> None:
    """Raise ValueError for pages without a leaderboard's CSV: a report has a `leaderboard.md`, too."""
    pages = [board.with_suffix(f".{kind}") for kind in ("md", "html")]
    if not board.is_file() and (found := [page for page in pages if page.exists()]):
        raise ValueError(
            f"{found[0]}: would be overwritten, but is not from an earlier leaderboard; name another --out folder"
        )


def _overall_rows(file: Path, command: str | None) -> pd.DataFrame:
    table = row_table.read(file, need_pairs=True)
    refuse_mixed_configurations(table, file)
    refuse_other_lines(table, file)
    table = last_steps(table)
    means = overall(table)
    if is_line(means).all():
        raise ValueError(f"{file}: has no overall value (source and target `*`) of a model to rank")
    means = means.join(_pairs(table), on=OF_A_VALUE)
    for column in ("most_real", "most_fake"):
        means[column] = means[column].fillna(means[column.replace("most", "n")]).astype(int)
    return means.fillna({"pairs_hash": "0" * 16}).assign(command=_made_by(file, command))[COLUMNS]


def _pairs(table: pd.DataFrame) -> pd.DataFrame:
    """Return the columns `_OF_PAIRS`, by model, seed, mode and metric."""
    pairs = row_table.of_pairs(table)

    def hashed(rows: pd.DataFrame) -> str:
        each = rows[["source", "target", "n_real", "n_fake"]].astype(str)
        return stable_hash(sorted(each.itertuples(index=False, name=None)))

    groups = pairs.groupby(OF_A_VALUE)
    return groups.agg(most_real=("n_real", "max"), most_fake=("n_fake", "max")).assign(pairs_hash=groups.apply(hashed))


def _write(table: pd.DataFrame, board: Path) -> None:
    rankings = list(ranked(table))
    csv = table.to_csv(index=False)
    page = html.template("leaderboard.html.jinja").render(
        rankings=rankings,
        explained=EXPLAINED,
        published=PUBLISHED,
        published_note=PUBLISHED_NOTE,
        download=html.data_uri("text/csv", csv.encode()),
    )
    for name, text in (("csv", csv), ("md", markdown(rankings)), ("html", page)):
        write_text(board.with_suffix(f".{name}"), text)


def ranked(table: pd.DataFrame) -> Iterator[Ranking]:
    """Yield a ranking for each set of overall rows that share protocol, images and counts."""
    models = table[~is_line(table)]
    for (protocol, fingerprint, *_), like in models.groupby(_LIKE, sort=False):
        lines = table[is_line(table) & (table["protocol"] == protocol) & (table["data_fingerprint"] == fingerprint)]
        for comparable in _comparable(like):
            yield _ranking(comparable, lines)


def _comparable(rows: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Yield sets of models whose ranking metric has the same protocol hash; of other metrics, rows with that hash are
    preferred.
    """
    while len(rows):
        ranking = rows[rows["metric"] == next(metric for metric in _IN_TABLES if metric in set(rows["metric"]))]
        for hashed, group in ranking.groupby("protocol_hash", sort=False):
            chosen = rows.merge(group[OF_A_MODEL].drop_duplicates(), on=OF_A_MODEL)
            same = chosen["protocol_hash"] == hashed
            yield chosen[same | ~chosen["metric"].isin(chosen[same]["metric"])]
        done = pd.MultiIndex.from_frame(ranking[OF_A_MODEL])
        rows = rows[~pd.MultiIndex.from_frame(rows[OF_A_MODEL]).isin(done)]


def markdown(rankings: Sequence[Ranking]) -> str:
    """Return the leaderboard as Markdown."""
    parts = ["# Leaderboard", EXPLAINED]
    for ranking in rankings:
        parts.append(f"## {texts.markdown(ranking.title)}")
        for part in ranking.parts:
            rows = [_escaped(row, has_command=part.header[-1] == _MADE[-1]) for row in part.rows]
            parts += [f"### {part.title}", texts.markdown_table(part.header, rows)]
        parts.append(texts.markdown(ranking.caption))
    parts += ["## Published", PUBLISHED_NOTE, texts.markdown_table(PUBLISHED[0], PUBLISHED[1:])]
    return "\n\n".join(parts) + "\n"


def _ranking(models: pd.DataFrame, lines: pd.DataFrame) -> Ranking:
    first = models.iloc[0]
    found = set(zip(models["metric"], models["mode"], models["protocol_hash"], strict=True))
    columns = [
        (metric, mode, hashed)
        for metric in _IN_TABLES
        for mode in ("latent", "reference")
        for hashed in dict.fromkeys(models["protocol_hash"])
        if (metric, mode, hashed) in found
    ]
    entries = [_Entry(rows) for _, rows in models.groupby(OF_A_MODEL, sort=False)]
    entries.sort(key=lambda entry: entry.place(columns[0]))
    cells = {column: _cells(entries, column) for column in columns}
    extractors = models.drop_duplicates("metric").set_index("metric")["extractor"]
    outputs, real = (span(pd.concat([models[f"n_{of}"], models[f"most_{of}"]])) for of in ("fake", "real"))
    return Ranking(
        title=f"{', '.join(dict.fromkeys(models['experiment']))} · {first['protocol']}",
        caption=(
            f"Protocol {first['protocol']} {hashes(models)}, "
            f"{', '.join(f'{metric} on {extractor}' for metric, extractor in extractors.items())}; data "
            f"{first['data_fingerprint']}; each pair: {outputs} outputs against {real} training images of the target; "
            f"{', '.join(dict.fromkeys(models['device']))}."
        ),
        parts=list(_parts(entries, cells, lines)),
    )


def _parts(entries: list[_Entry], cells: dict[_Column, list[str]], lines: pd.DataFrame) -> Iterator[Part]:
    """Return a table for each question that the columns answer: the entries, then the reference lines that have a
    value.
    """
    columns = list(cells)
    twice = {column[:2] for column in columns if sum(other[:2] == column[:2] for other in columns) > 1}
    for question in sorted({METRICS[column[0]].question for column in columns}, key=list(QUESTIONS).index):
        chosen = [column for column in columns if METRICS[column[0]].question == question]
        rows = [[*entry.names, *(cells[column][place] for column in chosen)] for place, entry in enumerate(entries)]
        for line, title in REFERENCE_LINES.items():
            known = lines[lines["variant"] == line].drop_duplicates(["metric", "protocol_hash"], keep="last")
            level = known.set_index(["metric", "protocol_hash"])["value"]
            levels = [number(level[m, hashed]) if (m, hashed) in level.index else "–" for m, _, hashed in chosen]
            if set(levels) != {"–"}:
                rows.append([title, "", *levels])
        arrows = (
            f"{metric} {mode} {METRICS[metric].arrow}" + (f" ({hashed[:4]}…)" if (metric, mode) in twice else "")
            for metric, mode, hashed in chosen
        )
        header = ["variant", "experiment", *arrows]
        if columns[0] in chosen:
            made = [entry.made for entry in entries] + [[""] * len(_MADE)] * (len(rows) - len(entries))
            rows = [[*row, *more] for row, more in zip(rows, made, strict=True)]
            header += _MADE
        yield Part(heading(question), header, rows)


class _Entry:
    """A model of the leaderboard: its rows by column, and what made it."""

    def __init__(self, rows: pd.DataFrame) -> None:
        first = rows.iloc[0]
        by_column: Any = rows.groupby(["metric", "mode", "protocol_hash"])
        self.rows: dict[_Column, pd.DataFrame] = dict(list(by_column))
        self.names = [first["variant"], first["experiment"]]
        commits, commands = ("; ".join(dict.fromkeys(rows[column])) or "–" for column in ("git_commit", "command"))
        self.made = [str(rows["seed"].nunique()), str(first["step"]), rows["created_at"].max()[:10], commits, commands]

    def place(self, column: _Column) -> float:
        """Return the sort key of an entry; those without a value are last."""
        return METRICS[column[0]].sign * self.rows[column]["value"].mean() if column in self.rows else np.inf


def _cells(entries: list[_Entry], column: _Column) -> list[str]:
    """Return the cells of a column, by entry."""
    of_column = [entry.rows[column] for entry in entries if column in entry.rows]
    found = (_cell(rows, *rank) for rows, rank in zip(of_column, ranks(of_column), strict=True))
    return [next(found) if column in entry.rows else "–" for entry in entries]


def _cell(rows: pd.DataFrame, best: int, worst: int) -> str:
    """Format mean, interval and the possible ranks."""
    mean, half_width = mean_interval(rows["value"].to_numpy())
    rank = f"({best})" if best == worst else f"({best}–{worst})"
    if not np.isnan(half_width):
        return f"{number(mean)} ± {number(half_width)} {rank}"
    low, high = rows[["ci_low", "ci_high"]].iloc[0]
    interval = "" if np.isnan(low) else f" [{number(low)}, {number(high)}]"
    return f"{number(mean)} †{interval} {rank}"


def _escaped(row: Sequence[str], has_command: bool) -> list[str]:
    """Escape a row of a ranking for Markdown: names and commits as they are, and the command as code."""
    variant, experiment, *cells = row
    names = [texts.markdown(variant), texts.markdown(experiment)]
    if not has_command:
        return [*names, *cells]
    *cells, commits, command = cells
    return [*names, *cells, texts.markdown(commits), texts.markdown_code(command) if command else ""]


def _stored(board: Path) -> pd.DataFrame:
    stored = row_table.read(board, more=_OF_PAIRS | _COMMAND)
    return stored.astype({"most_real": int, "most_fake": int})[COLUMNS]


def _made_by(file: Path, command: str | None) -> str:
    """Return the command that made a file's rows: from the experiment next to it, else the one given."""
    known = material.command(file.parent)
    made_by = " ".join((known or command or "").split())
    if not made_by:
        raise ValueError(
            f"{file}: no {EXPERIMENT} next to it says what made these rows; give the command with --command"
        )
    form, meaning = _COMMAND["command"]
    if not re.fullmatch(form, made_by):
        where = str(file.parent / EXPERIMENT) if known else "--command"
        raise ValueError(f"{where}: the command is {made_by[:60]!r}, expected {meaning}")
    return made_by
