"""The training log: loss terms over steps, as CSV."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

from sg2bench.files import write_text


@dataclass
class Log:
    """Log of loss terms, appended line by line; the first line determines the columns."""

    path: Path

    def truncate(self, step: int) -> None:
        """Remove lines after `step`, whose steps will be trained again, and lines that a crash left incomplete."""
        if not self.path.is_file():
            return
        lines = self.path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
        header = lines[0] if lines and lines[0].startswith("step,") and lines[0].endswith("\n") else ""
        whole = [line for line in lines[1:] if header and _is_whole(line, header)]
        if len(whole) < sum(line.endswith("\n") for line in lines[1:]):
            warnings.warn(f"{self.path}: damaged lines were removed; the curves have gaps", stacklevel=2)
        kept = [line for line in whole if int(line.split(",")[0]) <= step]
        if kept:
            write_text(self.path, "".join([header, *kept]))
        else:
            self.path.unlink()

    def append(self, line: dict[str, float]) -> None:
        with self.path.open("a+", encoding="utf-8", newline="") as file:
            if file.tell() == 0:
                file.write(",".join(line) + "\n")
            file.seek(0)
            columns = file.readline().rstrip("\n").split(",")
            file.write(",".join(_cell(line[c]) if c in line else "" for c in columns) + "\n")


def _cell(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.6g}"


def _is_whole(line: str, header: str) -> bool:
    step, *cells = line.rstrip("\n").split(",")
    return line.endswith("\n") and step.isdecimal() and len(cells) == header.count(",") and all(map(_is_cell, cells))


def _is_cell(text: str) -> bool:
    try:
        return not text or abs(float(text)) < float("inf")
    except ValueError:
        return False
