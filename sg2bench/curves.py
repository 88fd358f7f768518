"""Reading loss terms over training steps: a run's log, or the curves of a study."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from sg2bench import csv_files, texts

_TERM = r"[A-Za-z][A-Za-z0-9_]{0,29}(/[A-Za-z0-9_]{1,30})?"
_MOST_TERMS, _LARGEST = 100, 1e39
_WHOLE = csv_files.WHOLE, "a whole number"
_KEYS = {"variant": (texts.NAME, "the name of a variant"), "seed": _WHOLE, "step": _WHOLE}


def read(path: Path, keys: Sequence[str] = ()) -> pd.DataFrame:
    """Read a CSV of loss terms by step, and by the further `keys`: variant and seed in a study's curves.

    Raises ValueError that names the first bad line.
    """
    text = csv_files.read(path, "training curves")
    if odd := [column for column in text.columns if not re.fullmatch(_TERM, column)]:
        raise ValueError(f"{path}: column {odd[0][:60]!r} is unknown; expected a loss term such as g_latent/adv")
    forms = {key: _KEYS[key] for key in sorted((*keys, "step"))}
    terms = [column for column in text.columns if column not in forms]
    csv_files.refuse_columns(path, text, list(forms), terms, "expected curves as sg2bench ablate writes them")
    if len(terms) > _MOST_TERMS:
        raise ValueError(f"{path}: has {len(terms)} loss terms, more than {_MOST_TERMS}")
    csv_files.refuse_cells(path, text, forms | dict.fromkeys(terms, (f"({csv_files.NUMBER})?", "a number, or nothing")))
    whole = [key for key in forms if key != "variant"]
    table = text.astype(dict.fromkeys(whole, float)).astype(dict.fromkeys(whole, int))
    table = table.assign(**{term: pd.to_numeric(text[term]).astype(float) for term in terms})
    csv_files.refuse(path, table, (table[terms].abs() > _LARGEST).any(axis=1), f"a loss is beyond {_LARGEST:g}")
    return table
