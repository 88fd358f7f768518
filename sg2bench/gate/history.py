"""The history of the gate: one line per run, and a plot over commits."""

from __future__ import annotations

import io
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from sg2bench import csv_files, provenance, texts
from sg2bench.files import locked, write_text
from sg2bench.gate.output import name_of, times_margin, worse_by, worst_first
from sg2bench.gate.quality import INCONCLUSIVE, PASS, REGRESSION, verdict

COLUMNS = ("time", "commit", "verdict", PASS, INCONCLUSIVE, REGRESSION, "times_margin", "worst")
_COUNT = csv_files.WHOLE, "a whole number"
_FORMS: csv_files.Forms = {
    "time": (r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.+Z-]+", "a time such as 2026-01-31T12:00:00+00:00"),
    "commit": (r"[0-9a-f]{7,40}\+?|", "a commit, or nothing"),
    "verdict": ("|".join((PASS, INCONCLUSIVE, REGRESSION)), "a verdict of the gate"),
    **dict.fromkeys((PASS, INCONCLUSIVE, REGRESSION), _COUNT),
    "times_margin": (f"({csv_files.NUMBER})?", "a number, or nothing"),
    "worst": (texts.PLAIN, "plain text on one line"),
}
_COLOURS = {PASS: "#4d9a5a", INCONCLUSIVE: "#c79a2b", REGRESSION: "#b3261e"}
_SHOWN = 3
"""Number of the gate's worst lines that a line of the history names."""
_MOST_DRAWN = 60
"""Number of latest runs in the plot."""


def append(table: pd.DataFrame, file: Path) -> Path:
    """Append the gate's verdict to a history, and plot the history as SVG next to it; return the plot's path.

    The file is replaced atomically, and concurrent processes wait for each other. Raises ValueError if it exists and is
    not a history.
    """
    plot = file.with_suffix(".svg")
    if plot == file:
        raise ValueError(f"--history {file}: its plot would be the same file; name a CSV")
    with locked(file):
        earlier = read(file) if file.is_file() else pd.DataFrame(columns=list(COLUMNS), dtype=str)
        new = pd.DataFrame([_line(table)], dtype=str)
        history = pd.concat([earlier, new], ignore_index=True)
        for place, text in ((file, history.to_csv(index=False)), (plot, _svg(history))):
            write_text(place, text)
    return plot


def read(file: Path) -> pd.DataFrame:
    """Read the lines of a history, as text. Raises ValueError that names the first bad one."""
    table = csv_files.read(file, "verdicts of the gate")
    csv_files.refuse_columns(file, table, COLUMNS, [], "give a file that sg2bench check --history wrote")
    csv_files.refuse_cells(file, table, _FORMS)
    return table.reset_index(drop=True)


def _line(table: pd.DataFrame) -> dict[str, str]:
    counts = table["verdict"].value_counts()
    rows = worst_first(table)
    worst = "; ".join(f"{name_of(row)} {worse_by(row)}" for row in rows[:_SHOWN])
    most = max((times_margin(row) for row in rows), default=float("nan"))
    known = {"time": provenance.now(), "commit": commit(), "verdict": verdict(table)}
    known |= {word: str(counts.get(word, 0)) for word in (PASS, INCONCLUSIVE, REGRESSION)}
    return known | {"times_margin": f"{most:.4g}" if abs(most) < float("inf") else "", "worst": texts.plain(worst)}


def commit() -> str:
    """Return the commit that is judged: GitHub's, else that of the working folder; empty outside a repository."""
    if re.fullmatch("[0-9a-f]{7,64}", sha := os.environ.get("GITHUB_SHA", "")):
        return sha[:12]
    try:
        command = ["git", "rev-parse", "--short=12", "HEAD"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (subprocess.CalledProcessError, OSError):
        return ""


def _svg(history: pd.DataFrame) -> str:
    """Plot the worst line of each run, in units of its margin, coloured by verdict."""
    shown = history.tail(_MOST_DRAWN).reset_index(drop=True)
    values = pd.to_numeric(shown["times_margin"])
    style: Any = {"svg.hashsalt": "sg2bench", "svg.fonttype": "none", "text.parse_math": False, "font.size": 9}
    with mpl.rc_context(style):
        figure = Figure(figsize=(max(4.5, 0.24 * len(shown) + 1.5), 3.2), layout="constrained")
        axis = figure.subplots()
        axis.axhline(1, color="#333", linestyle="--", linewidth=1)
        axis.axhline(0, color="#999", linewidth=0.8)
        axis.plot(values.index, values, color="#999", linewidth=1, zorder=1)
        for word, colour in _COLOURS.items():
            some = values[shown["verdict"] == word]
            axis.plot(some.index, some, "o", color=colour, markersize=5, label=word)
        labels = [each[:7] or time[:10] for each, time in zip(shown["commit"], shown["time"], strict=True)]
        axis.set_xticks(range(len(shown)), labels, rotation=90)
        axis.set(xlabel="commit", ylabel="worst change (1: its margin)")
        axis.spines[["top", "right"]].set_visible(False)
        axis.legend(frameon=False, loc="upper left", fontsize=8)
        with io.StringIO() as drawn:
            figure.savefig(drawn, format="svg", metadata={"Date": None, "Creator": None})
            return drawn.getvalue()
