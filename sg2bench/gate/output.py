"""The gate's output for CI: Markdown, annotations, JUnit XML, JSON."""

from __future__ import annotations

import json
import os
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from sg2bench import texts
from sg2bench.files import write_text
from sg2bench.gate.quality import INCONCLUSIVE, KEYS, PASS, REGRESSION, verdict
from sg2bench.gate.throughput import SETTING

_WORDS = {PASS: "No regression", REGRESSION: "Regression", INCONCLUSIVE: "Inconclusive"}


def sentence(table: pd.DataFrame) -> str:
    """Summarise the verdict in one line."""
    counts = table["verdict"].value_counts()
    text = f"{_WORDS[verdict(table)]}: " + ", ".join(
        f"{counts[word]} {word}" for word in (REGRESSION, INCONCLUSIVE, PASS) if word in counts
    )
    if verdict(table) == INCONCLUSIVE:
        text += f"; {advice(table)}"
    if left_out := table.attrs.get("left_out"):
        text += f"; not compared, as the baseline has none: {', '.join(left_out)}"
    return text


def advice(table: pd.DataFrame) -> str:
    """Say how many seeds would be enough."""
    unsure = table[table["verdict"] == INCONCLUSIVE]
    if (single := unsure["seeds"] < 2).any():
        row = unsure[single].iloc[0]
        return (
            f"one seed gives no estimate of the spread, and {row['variant']} has {row['results_seeds']} in the results "
            f"and {row['baseline_seeds']} in the baseline: train two or more for both, or, if no value should change, "
            "compare with --exact"
        )
    if unsure["seeds_needed"].isna().any():
        return (
            "more than 200 seeds would be needed: the change is near or beyond its margin, or the spread over seeds is "
            "too large"
        )
    return f"{int(unsure['seeds_needed'].max())} seeds on each side would be enough if change and spread stay the same"


COLUMNS = (*KEYS, "seed", *SETTING, "baseline", "value")
"""Columns that a table of verdicts shows, as far as it has them: what identifies a line, and both values."""


def markdown(table: pd.DataFrame) -> str:
    """Write a table of the lines that do not pass, or of all lines if all pass, worst first."""
    shown = table[table["verdict"] != PASS] if verdict(table) != PASS else table
    columns = [column for column in COLUMNS if column in shown]
    rows = []
    for row in worst_first(shown):
        cells = [
            texts.rounded(row[c], 4) if isinstance(row[c], float) else texts.markdown(str(row[c])) for c in columns
        ]
        rows.append([*cells, worse_by(row), row["verdict"]])
    listed = texts.markdown_table([*columns, "worse by", "verdict"], rows)
    return f"**{texts.markdown(sentence(table))}**\n\n{listed}\n"


def worst_first(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the lines, regressions first, by their worsening in units of their margin."""
    return sorted(_records(table), key=lambda row: (row["verdict"] == REGRESSION, times_margin(row)), reverse=True)


def times_margin(row: Mapping[str, Any]) -> float:
    """Return a line's worsening in units of its margin: 1 is a worsening by the whole margin. An exact comparison
    counts any change that it refuses as a worsening.
    """
    margin = row.get("margin", float("nan"))
    worse = row["worse_by"] * (1 if row.get("absolute") else abs(row["baseline"]) or 1)
    if row.get("verdict") == REGRESSION:
        worse = abs(worse)
    return float(worse / margin) if margin else float("inf") if worse > 0 else 0.0


def worse_by(row: Mapping[str, Any], sign: str = "+") -> str:
    """Format how much worse a line is: as a share of the baseline, or as a difference if its margin is absolute or the
    baseline is 0.

    `sign` is that of format strings.
    """
    if row.get("absolute") or row["baseline"] == 0:
        return texts.rounded(row["worse_by"], 3, sign) + " absolute"
    return f"{row['worse_by']:{sign}.1%}"


def github_errors(table: pd.DataFrame) -> list[str]:
    """Return a GitHub `::error` line for each regression."""
    lines = []
    for row in _records(table[table["verdict"] == REGRESSION]):
        value, baseline = (texts.rounded(row[column], 4) for column in ("value", "baseline"))
        change = f"worse by {worse_by(row, '-')}: {value}, baseline {baseline}"
        lines.append(f"::error title=sg2bench, {_escaped(name_of(row))}::{change}".replace("sg2bench,", "sg2bench%2C"))
    return lines


def junit(table: pd.DataFrame) -> str:
    """Write JUnit XML with a test case per line: a regression fails, an inconclusive line is skipped."""
    counts = table["verdict"].value_counts()
    suite = ET.Element(
        "testsuite",
        name="sg2bench check",
        tests=str(len(table)),
        failures=str(counts.get(REGRESSION, 0)),
        skipped=str(counts.get(INCONCLUSIVE, 0)),
        errors="0",
    )
    for row in _records(table):
        case = ET.SubElement(suite, "testcase", classname="sg2bench", name=name_of(row))
        message = f"{row['value']:.6g}, baseline {row['baseline']:.6g}, worse by {worse_by(row)}"
        if row["verdict"] != PASS:
            ET.SubElement(case, "failure" if row["verdict"] == REGRESSION else "skipped", message=message)
    ET.indent(suite)
    return ET.tostring(suite, encoding="unicode", xml_declaration=True)


def as_json(table: pd.DataFrame) -> str:
    """Write JSON with the overall `verdict` and the `lines`."""
    lines = json.loads(table.to_json(orient="records", double_precision=15))
    return json.dumps({"verdict": verdict(table), "lines": lines}, indent=1, ensure_ascii=False)


def publish(table: pd.DataFrame, summary: Path | None, junit_file: Path | None, json_file: Path | None) -> None:
    """Write the requested files. On GitHub, also append the step summary, unless `summary` is given, and print errors.

    Raises ValueError or OSError that names what cannot be written.
    """
    step = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary is None and step:
        try:
            with Path(step).open("a", encoding="utf-8") as file:
                file.write(markdown(table))
        except OSError as error:
            raise ValueError(f"$GITHUB_STEP_SUMMARY, {step}: {error.strerror}") from None
    for path, text in ((summary, markdown(table)), (junit_file, junit(table)), (json_file, as_json(table))):
        if path is not None:
            write_text(path, text)
    if os.environ.get("GITHUB_ACTIONS"):
        print(*github_errors(table), sep="\n")


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]


def name_of(row: Mapping[str, object]) -> str:
    """Name a line of the gate by its keys."""
    keys = [key for key in COLUMNS[:-2] if key in row]
    return texts.one_line(" / ".join(str(row[key]) for key in keys))


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A").replace(":", "%3A").replace(",", "%2C")
