"""The leaderboard over all experiments: rows that people add, ranked only against their like."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from sg2bench import cache, results
from sg2bench.config import METRICS, REFERENCE_LINES
from sg2bench.report import html
from sg2bench.report.folder import EXPERIMENT, MADE_BY
from sg2bench.report.leaderboard import number
from sg2bench.report.plots import LINE_NAMES
from sg2bench.results import OF_A_MODEL, ROW_KEY, better
from sg2bench.statistics import mean_interval, ranks

COLUMNS = [*results.COLUMNS, "command"]
_LIKE = ["protocol", "protocol_hash", "data_fingerprint", "n_real", "n_fake"]
"""Rows that share these may be ranked together."""
PUBLISHED = (
    ("images", "fid latent ↓", "lpips latent ↑", "fid reference ↓", "lpips reference ↑"),
    ("CelebA-HQ", "13.73 ± 0.06", "0.4515 ± 0.0006", "23.84 ± 0.03", "0.3880 ± 0.0001"),
    ("AFHQ", "16.18 ± 0.15", "0.4501 ± 0.0007", "19.78 ± 0.01", "0.4315 ± 0.0002"),
)
PUBLISHED_NOTE = (
    "Published by the authors of StarGAN v2, not measured here: their checkpoints of 100,000 iterations, 256 px, by "
    "their own evaluation (protocol `paper`), mean and spread of 10 evaluations. An independent rerun of the CelebA-HQ "
    "checkpoint gave 13.74 / 0.4499 and 23.70 / 0.3879, outside these ±. Never rank a value of another protocol beside "
    "them."
)
EXPLAINED = (
    "Only rows of one protocol, image set and number of images are ranked together. A cell is the mean over seeds ± "
    "half of its 95 % interval (Student's t), so it tells how another training would turn out; with two seeds that is "
    "± 9 standard deviations. Ranks are by the first column of values: entries whose intervals overlap are tied, "
    "and 2–5 says that an entry is anything from second to fifth. One seed † has the interval for the sample of "
    "images alone and is not ranked. Never compare values of two tables."
)


@dataclass(frozen=True)
class Ranking:
    """Entries that may be ranked together, best first, as text; what they share is in the caption."""

    title: str
    caption: str
    header: list[str]
    rows: list[list[str]]


def add(files: Sequence[Path], folder: Path, command: str | None) -> tuple[Path, int, int]:
    """Put the overall rows of result files into `leaderboard.csv` of a folder; write `leaderboard.md` and `.html` anew.

    A row that is there already (`results.ROW_KEY`) is replaced. `command` is what made those rows beside which no
    `experiment.yaml` knows. Returns the page's path and how many rows are new and replaced. Raises ValueError, and
    changes nothing, if a file has a bad row (`results.validated`), no overall value, or no command.
    """
    board = folder / "leaderboard.csv"
    parts = [_stored(board)] if board.is_file() else []
    before = sum(map(len, parts))
    for file in files:
        rows = results.validated(file)
        rows = rows[(rows["source"] == "*") & (rows["target"] == "*")]
        if rows["variant"].isin(REFERENCE_LINES).all():
            raise ValueError(f"{file}: has no overall value (source and target `*`) of a model to rank")
        parts.append(rows[[*results.COLUMNS]].assign(command=_made_by(file, command)))
    given = pd.concat(parts, ignore_index=True)
    table = given.drop_duplicates(ROW_KEY, keep="last")
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
        with cache.atomic_file(board.with_suffix(f".{name}")) as temporary:
            temporary.write_text(text, encoding="utf-8")
    return board.with_suffix(".html"), len(table) - before, len(given) - len(table)


def ranked(table: pd.DataFrame) -> Iterator[Ranking]:
    """A ranking for each set of overall rows that share protocol, images and counts."""
    is_line = table["variant"].isin(REFERENCE_LINES)
    for shared, models in table[~is_line].groupby(_LIKE, sort=False):
        lines = table[is_line & (table["protocol_hash"] == shared[1]) & (table["data_fingerprint"] == shared[2])]
        yield _ranking(models, lines)


def markdown(rankings: Sequence[Ranking]) -> str:
    """The leaderboard as Markdown."""
    parts = ["# Leaderboard", EXPLAINED]
    for ranking in rankings:
        parts += [
            f"## {ranking.title}",
            _markdown_table(ranking.header, [[*row[:-1], _code(row[-1])] for row in ranking.rows]),
            ranking.caption,
        ]
    parts += ["## Published", PUBLISHED_NOTE, _markdown_table(PUBLISHED[0], PUBLISHED[1:])]
    return "\n\n".join(parts) + "\n"


def _ranking(models: pd.DataFrame, lines: pd.DataFrame) -> Ranking:
    first = models.iloc[0]
    found = set(zip(models["metric"], models["mode"], strict=True))
    columns = [(m, mode) for m in METRICS[first["protocol"]] for mode in ("latent", "reference") if (m, mode) in found]
    entries = [_Entry(rows, columns) for _, rows in models.groupby(OF_A_MODEL, sort=False)]
    sign = 1 if better(columns[0][0]) == "lower" else -1
    entries.sort(key=lambda entry: np.nan_to_num(sign * entry.mean, nan=np.inf))
    sure = [entry for entry in entries if not np.isnan(entry.half_width)]
    centres, widths = (np.array([getattr(entry, name) for entry in sure]) for name in ("mean", "half_width"))
    open_ranks = zip(*ranks(sign * centres - widths, sign * centres + widths), strict=True)
    rank = {id(entry): "–".join(map(str, sorted(set(each)))) for entry, each in zip(sure, open_ranks, strict=True)}
    rows = [[rank.get(id(entry), "–"), *entry.cells] for entry in entries]
    for line in REFERENCE_LINES:
        values = lines[lines["variant"] == line].drop_duplicates("metric", keep="last").set_index("metric")["value"]
        if len(values):
            cells = [number(values[metric]) if metric in values else "–" for metric, _ in columns]
            rows.append(["", LINE_NAMES[line], "", *cells, *[""] * 5])
    arrows = (f"{metric} {mode} {'↓' if better(metric) == 'lower' else '↑'}" for metric, mode in columns)
    extractors = models.drop_duplicates("metric").set_index("metric")["extractor"]
    return Ranking(
        title=f"{', '.join(dict.fromkeys(models['experiment']))} · {first['protocol']}",
        caption=(
            f"Protocol `{first['protocol']}` {first['protocol_hash']}, "
            f"{', '.join(f'{metric} on {extractor}' for metric, extractor in extractors.items())}; data "
            f"{first['data_fingerprint']}; each pair: {first['n_fake']} outputs against {first['n_real']} "
            f"training images of the target; {', '.join(dict.fromkeys(models['device']))}."
        ),
        header=["rank", "variant", "experiment", *arrows, "seeds", "steps", "date", "commit", "command"],
        rows=rows,
    )


class _Entry:
    """A variant's line: its cells behind the rank, and what it is ranked by."""

    def __init__(self, rows: pd.DataFrame, columns: Sequence[tuple[str, str]]) -> None:
        first, seeds = rows.iloc[0], rows["seed"].nunique()
        by_column = dict(list(rows.groupby(["metric", "mode"])))
        self.mean, self.half_width = np.nan, np.nan
        if columns[0] in by_column:
            self.mean, self.half_width = mean_interval(by_column[columns[0]]["value"].to_numpy())
        cells = [_cell(by_column[column]) if column in by_column else "–" for column in columns]
        commits, commands = ("; ".join(dict.fromkeys(rows[column])) or "–" for column in ("git_commit", "command"))
        self.cells = [
            *(first["variant"], first["experiment"], *cells, str(seeds), str(first["step"])),
            *(rows["created_at"].max()[:10], commits, commands),
        ]


def _cell(rows: pd.DataFrame) -> str:
    mean, half_width = mean_interval(rows["value"].to_numpy())
    if not np.isnan(half_width):
        return f"{number(mean)} ± {number(half_width)}"
    low, high = rows[["ci_low", "ci_high"]].iloc[0]
    return f"{number(mean)} †" + ("" if np.isnan(low) else f" [{number(low)}, {number(high)}]")


def _markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in (header, ["---"] * len(header), *rows))


def _code(command: str) -> str:
    return "`" + command.replace("`", "'").replace("|", "\\|") + "`" if command else ""


def _stored(board: Path) -> pd.DataFrame:
    stored = results.validated(board, with_pairs=False)
    if "command" not in stored:
        raise ValueError(f"{board}: column command is missing; it is no leaderboard")
    return stored[COLUMNS]


def _made_by(file: Path, command: str | None) -> str:
    experiment = file.parent / EXPERIMENT
    first = experiment.read_text(encoding="utf-8").partition("\n")[0] if experiment.is_file() else ""
    if first.startswith(MADE_BY):
        return first.removeprefix(MADE_BY)
    if not (command or "").strip():
        raise ValueError(f"{file}: no {EXPERIMENT} beside it tells what made these rows; give it by --command")
    return " ".join(str(command).split())
