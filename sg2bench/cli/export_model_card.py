"""export-model-card."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sg2bench.cli import options


def export_model_card(
    results: Annotated[Path, typer.Argument(help="results.csv")],
    variant: Annotated[str | None, typer.Option(help="Variant of the card; default: the first.")] = None,
    name: Annotated[str | None, typer.Option(help="The model's name; default: EXPERIMENT-VARIANT.")] = None,
    out: Annotated[Path | None, typer.Option(help="A new file for the card; default: print it.")] = None,
) -> None:
    """Write a Hugging Face model card: `model-index` metadata with values, intervals and protocol, and a table."""
    from sg2bench.files import write_text
    from sg2bench.report.model_card import model_card

    card = model_card(results, variant=variant, name=name)
    if out is None:
        options.print_plain(card.removesuffix("\n"))
        return
    if out.exists():
        raise ValueError(f"{out}: already exists; name another file, or print the card and copy what you need")
    write_text(out, card)
    options.print_plain(str(out))
