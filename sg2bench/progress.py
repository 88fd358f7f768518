"""A progress bar."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from rich.console import Console
from rich.markup import escape
from rich.progress import track as rich_track

from sg2bench import texts

T = TypeVar("T")


def track(items: Sequence[T], text: str) -> Iterable[T]:
    """Yield the items; if stderr is a terminal, show a progress bar there, and remove it at the end."""
    console = Console(stderr=True)
    shown = escape(texts.one_line(text))
    return rich_track(items, shown, console=console, transient=True, disable=not console.is_terminal)
