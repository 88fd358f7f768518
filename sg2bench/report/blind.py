"""The page on which a reader chooses between two models without knowing which is which, and the count of the
choices.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from PIL import Image

from sg2bench import csv_files, texts
from sg2bench.files import write_text
from sg2bench.report import html
from sg2bench.statistics import wilson

COLUMNS = ("pair", "source", "reference", "left", "right", "choice")
_RUN = rf"{texts.NAME}/seed-[0-9]+"
_IMAGE = rf"{texts.DOMAIN}/[0-9]+"
_FORMS: csv_files.Forms = {
    "pair": (csv_files.WHOLE, "a whole number"),
    **dict.fromkeys(("source", "reference"), (_IMAGE, "a domain and a number, such as cat/12")),
    **dict.fromkeys(("left", "right"), (_RUN, "a variant and a seed, such as full/seed-0")),
    "choice": ("left|right|tie", "left, right or tie"),
}


@dataclass(frozen=True)
class Shown:
    """One pair of the page: the names of source and reference, the index of the model on the left, and the images of
    source, reference, left and right output.
    """

    source: str
    reference: str
    left: int
    images: tuple[Image.Image, ...]


def write(shown: Sequence[Shown], names: tuple[str, str], seed: int, out: Path) -> None:
    """Write the page, a single self-contained file. It holds the names of the two models in encoded form."""
    secret = {"names": names, "left": [each.left for each in shown]}
    page = html.template("blind.html.jinja").render(
        pairs=[{"source": each.source, "reference": each.reference} for each in shown],
        pictures=[[_uri(image) for image in each.images] for each in shown],
        secret=base64.b64encode(json.dumps(secret).encode()).decode(),
        seed=seed,
        columns=list(COLUMNS),
    )
    write_text(out, page)


def _uri(image: Image.Image) -> str:
    encoded = io.BytesIO()
    image.save(encoded, format="WEBP", lossless=True)
    return html.data_uri("image/webp", encoded.getvalue())


def preference(files: Sequence[Path]) -> pd.DataFrame:
    """Count the choices of one or several readers; return a row for each of the two models.

    Columns: `run`, `other`; `preferred`, in how many of the `decided` pairs; `ties`, which decide nothing; `share` of
    the decided pairs, with its 95 % interval (Wilson 1927) as `ci_low` and `ci_high`. Choices are treated as
    independent, so the interval is too narrow if several readers saw the same pairs. Raises ValueError for a file that
    the page did not save, or for files about other models.
    """
    if not files:
        raise ValueError("name at least one file of choices")
    if len({file.resolve() for file in files}) < len(files):
        raise ValueError("a file of choices is named twice")
    tables = [_read(file) for file in files]
    names = _runs(tables[0])
    for file, each in zip(files, tables, strict=True):
        if len(found := _runs(each)) != 2:
            raise ValueError(f"{file}: expected choices between two runs, found {', '.join(found)}")
        if found != names:
            raise ValueError(
                f"{file}: is about {' and '.join(found)}, {files[0]} about {' and '.join(names)}; count them separately"
            )
    table = pd.concat(tables, ignore_index=True)
    chosen = table["left"].where(table["choice"] == "left", table["right"])[table["choice"] != "tie"]
    rows = []
    for name, other in (names, names[::-1]):
        preferred, decided = int((chosen == name).sum()), len(chosen)
        low, high = wilson(preferred, decided)
        share = preferred / decided if decided else float("nan")
        counts = {"preferred": preferred, "decided": decided, "ties": len(table) - decided}
        rows.append({"run": name, "other": other} | counts | {"share": share, "ci_low": low, "ci_high": high})
    return pd.DataFrame(rows)


def _runs(table: pd.DataFrame) -> list[str]:
    return sorted({*table["left"], *table["right"]})


def _read(path: Path) -> pd.DataFrame:
    table = csv_files.read(path, "choices")
    csv_files.refuse_columns(path, table, COLUMNS, [], "give a file that the page of sg2bench compare --blind saved")
    if table.empty:
        raise ValueError(f"{path}: holds no choices")
    csv_files.refuse_cells(path, table, _FORMS)
    csv_files.refuse(path, table, table["left"] == table["right"], "both sides are the same run")
    csv_files.refuse(path, table, table.duplicated("pair"), "an earlier line has the same pair")
    return table
