"""References of a folder of fakes, read from its `references.csv`: which image gave each fake its style."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sg2bench import csv_files
from sg2bench.data.images import ImageSet
from sg2bench.evaluation.fakes import REFERENCES, Fakes
from sg2bench.evaluation.guidance import Pair

_COLUMNS = ("file", "reference")


def read(folder: Path, pairs: Sequence[Fakes], images: ImageSet) -> dict[Pair, NDArray[np.int64]] | None:
    """Read indices (sources, outputs) of validation images of the target, by pair; None if there is no such file.

    Columns: `file`, such as `cat2dog/00001_2.png`, and `reference`, the name of an image of val/<target>, with or
    without extension. Raises ValueError that names the bad line, or a fake without a line.
    """
    path = folder / REFERENCES
    if not path.exists():
        return None
    table = csv_files.read(path, "references")
    csv_files.refuse_columns(path, table, _COLUMNS, [], "expected the columns file and reference")
    csv_files.refuse(path, table, table.duplicated("file"), "an earlier line names the same file")
    lines = {file: (line, reference) for line, file, reference in table[list(_COLUMNS)].itertuples(name=None)}
    found = {}
    for pair in pairs:
        places = _places(images, pair.target)
        chosen = []
        for file in (file for files in pair.files.values() for file in files):
            name = file.relative_to(folder).as_posix()
            if name not in lines:
                raise ValueError(f"{path}: has no line for {name}")
            line, reference = lines.pop(name)
            if reference not in places:
                raise ValueError(
                    f"{path}: line {line}: val/{pair.target} has no image {reference!r}, or several with other "
                    "extensions; give its file name"
                )
            chosen.append(places[reference])
        found[pair.source, pair.target] = np.array(chosen, np.int64).reshape(len(pair.files), -1)
    if lines:
        name, (line, _) = next(iter(lines.items()))
        raise ValueError(f"{path}: line {line}: there is no fake {name!r}")
    return found


def _places(images: ImageSet, domain: str) -> dict[str, int]:
    """Return places of validation images by name, and by name without extension where only one image has it."""
    names = images.names["val"].get(domain, ())
    stems = Counter(Path(name).stem for name in names)
    short = {Path(name).stem: place for place, name in enumerate(names) if stems[Path(name).stem] == 1}
    return short | {name: place for place, name in enumerate(names)}
