"""Text from elsewhere: what a cell of a table may hold, and how to show it so that it does nothing."""

from __future__ import annotations

import html
import re

_HIDDEN = (
    r"\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffc\ufffe\uffff\ud800-\udfff"
)
"""Characters that are not seen or that change what is: control characters, marks of direction, halves of characters."""
NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,59}"
"""The name of an experiment or a variant, as a regular expression."""
_FORMULA = r"[\s=+\-@＝＋－＠]"
PLAIN = rf"(?!{_FORMULA})[^{_HIDDEN}]*(?<!\s)"
"""A cell of text, as a regular expression: one line, without spaces around it, and no formula for a spreadsheet."""
DOMAIN = rf"(?!\*\Z)(?!\.)(?!{_FORMULA})[^{_HIDDEN}`<>|\[\]/]+(?<!\s)"
"""The name of a domain: such text, not empty, without what HTML and Markdown are made of, as a visible folder can be
called; `*` stands for all."""
DOMAIN_MEANING = "one line of visible text that neither is `*`, nor begins with . = + - or @, nor holds ` < > | [ ] /"

_hidden = re.compile(f"[{_HIDDEN}]")
_markup = re.compile(r"[\\`*~$|\[\]]|(?<![^\W_])_|_(?![^\W_])")


def is_domain(name: str) -> bool:
    """Whether a domain may be called so."""
    return re.fullmatch(DOMAIN, name) is not None


def checked_domain(name: str) -> str:
    """The name, if a domain may be called so. Raises ValueError that says what a name is."""
    if not is_domain(name):
        raise ValueError(f"no domain can be called {name!r}; a name is {DOMAIN_MEANING}")
    return name


def visible(text: str) -> str:
    """Lines of text for a terminal, with � for each character that is not seen, as those of escape codes."""
    return _hidden.sub(lambda found: {"\n": "\n", "\t": " "}.get(found[0], "�"), text)


def one_line(text: str) -> str:
    """The same, with spaces for the ends of lines."""
    return visible(" ".join(text.splitlines()))


def plain(text: str) -> str:
    """Text of the machine, such as a processor's name, as a cell may hold it."""
    return re.sub(f"^{_FORMULA}+", "", one_line(text)).rstrip()


def markdown(text: str) -> str:
    """Text that Markdown shows as it is, in the cell of a table, too."""
    shown = html.escape(one_line(text), quote=False)
    return shown if shown == "*" else _markup.sub(r"\\\g<0>", shown)


def markdown_code(text: str) -> str:
    """Text that Markdown shows as code, in the cell of a table, too."""
    shown = one_line(text)
    return f"`{shown}`" if shown.strip() and not set("`<>&|") & set(shown) else f"<code>{markdown(shown)}</code>"
