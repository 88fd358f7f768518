"""Untrusted text: what a cell of a table may hold, and how to show it safely."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence

_HIDDEN = (
    r"\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffc\ufffe\uffff\ud800-\udfff"
)
"""Characters that are invisible or change what is shown: control characters, direction marks, surrogates."""
NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,59}"
"""The name of an experiment or a variant, as a regular expression."""
_FORMULA = r"[\s=+\-@＝＋－＠]"
PLAIN = rf"(?!{_FORMULA})[^{_HIDDEN}]*(?<!\s)"
"""A cell of text, as a regular expression: one line, no spaces around it, and not a spreadsheet formula."""
DOMAIN = rf"(?!\*\Z)(?!\.)(?!{_FORMULA})[^{_HIDDEN}`<>|\[\]/]+(?<!\s)"
"""The name of a domain: such text, not empty, without markup of HTML and Markdown, and valid as the name of a visible
folder; `*` stands for all."""
DOMAIN_MEANING = "one line of visible text, not `*`, without . = + - or @ at the start and without ` < > | [ ] /"

_hidden = re.compile(f"[{_HIDDEN}]")
_markup = re.compile(r"[\\`*~$|\[\]]|(?<![^\W_])_|_(?![^\W_])")


def is_domain(name: str) -> bool:
    """Return whether a domain may have this name."""
    return re.fullmatch(DOMAIN, name) is not None


def checked_domain(name: str) -> str:
    """Return the name if a domain may have it. Raises ValueError that says which names are valid."""
    if not is_domain(name):
        raise ValueError(f"invalid domain name {name!r}; a name is {DOMAIN_MEANING}")
    return name


def visible(text: str) -> str:
    """Make lines of text safe for a terminal: � replaces invisible characters, such as those of escape codes."""
    return _hidden.sub(lambda found: {"\n": "\n", "\t": " "}.get(found[0], "�"), text)


def one_line(text: str) -> str:
    """Make text safe for a terminal and join its lines with spaces."""
    return visible(" ".join(text.splitlines()))


def plain(text: str) -> str:
    """Turn text from the machine, such as a processor's name, into a valid cell."""
    return re.sub(f"^{_FORMULA}+", "", one_line(text)).rstrip()


def rounded(value: float, digits: int, sign: str = "") -> str:
    """Format a number with at most this many significant digits: no trailing zeros, and no exponent from 0.0001 to a
    million. `sign` is as in format strings.
    """
    return f"{float(f'{value:.{digits}g}') + 0.0:{sign}g}"  # no -0


def markdown(text: str) -> str:
    """Escape text so that Markdown shows it literally, even in a table cell."""
    shown = html.escape(one_line(text), quote=False)
    return shown if shown == "*" else _markup.sub(r"\\\g<0>", shown)


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Format a table in Markdown; the cells are Markdown already."""
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, ["---"] * len(header), *rows))


def markdown_code(text: str) -> str:
    """Mark text as code in Markdown, valid even in a table cell."""
    shown = one_line(text)
    return f"`{shown}`" if shown.strip() and not set("`<>&|") & set(shown) else f"<code>{markdown(shown)}</code>"
