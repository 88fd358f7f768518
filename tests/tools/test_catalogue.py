from __future__ import annotations

from tools.catalogue import PAGE, table
from tools.tables import replace


def test_the_page_says_what_the_catalogue_says():
    text = PAGE.read_text(encoding="utf-8")
    assert replace(text, "catalogue", table()) == text
