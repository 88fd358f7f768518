from __future__ import annotations

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from sg2bench import texts

HOSTILE = (
    "<script>alert(1)</script>",
    "[red]x[/x]",
    "![x](http://x/y.png)",
    "a|b",
    "`x`",
    "*x* _y_ ~~z~~",
    "&lt;",
    "\\",
)


def shown(markdown):
    """What a reader sees of the second column of a table in Markdown, and the tags that made it."""
    page = (
        MarkdownIt("commonmark")
        .enable(["table", "strikethrough"])
        .render(f"| a | b |\n|---|---|\n| x | {markdown} |\n")
    )
    (cell,) = re.findall(r"<td>(.*?)</td>\n</tr>\n</tbody>", page.split("<td>x</td>")[1], re.S)
    return html.unescape(re.sub(r"</?code>", "", cell)), set(re.findall(r"</?[a-z][^>]*>", cell))


@pytest.mark.parametrize("text", HOSTILE)
@given(st.text(st.sampled_from("ab _*`|[]()<>&#!~$\\:/\n\t\x1b-=+.0")))
def test_markdown_shows_text_as_it_is(text, more):
    for given_text in (text, more, text + more):
        expected = texts.one_line(given_text).split()
        for form, tags in ((texts.markdown, set()), (texts.markdown_code, {"<code>", "</code>"})):
            found, used = shown(form(given_text))
            assert found.split() == expected, form(given_text)
            assert used <= tags
            assert "<script>" not in form(given_text)


def test_a_table_in_markdown():
    assert texts.markdown_table(("a", "b"), [("1", "2")]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"


def test_what_is_not_seen_does_nothing_on_a_terminal():
    assert texts.visible("a\x1b[31mb\r\x00\x9b\u202e\ud800\ufeff") == "a�[31mb������"
    assert texts.visible("one\ntwo\tthree é 猫 🐈 -=+") == "one\ntwo three é 猫 🐈 -=+"
    assert texts.one_line("one\r\ntwo\u2028three") == "one two three"


@given(st.text())
def test_a_cell_holds_no_formula_and_one_visible_line(text):
    cell = texts.plain(text)
    assert re.fullmatch(texts.PLAIN, cell)
    assert texts.plain(cell) == cell == texts.one_line(cell)
    assert not cell.startswith(("=", "+", "-", "@", " ", "＝"))


@pytest.mark.parametrize(
    "name", ["cat", "big cat", "猫", 'café, "young"', "it's", "0", "train", "yes", "a*b", "x=1", "_"]
)
def test_names_that_a_domain_may_have(name):
    assert texts.is_domain(name)


@pytest.mark.parametrize(
    "name",
    ["", "*", "a\nb", "a\tb", "\x1b[31m", "<b>", "a|b", "[x]", "`x`", "=1", "+1", "-1", "@x", " a", "a ", "\udcff"],
)
def test_names_that_no_domain_has(name):
    assert not texts.is_domain(name)


@pytest.mark.parametrize(
    ("value", "digits", "sign", "expected"),
    [
        (1126.4, 3, "+", "+1130"),
        (1234.5, 3, "", "1230"),
        (12345.6, 4, "", "12350"),
        (0.98, 3, "", "0.98"),
        (-0.51149, 3, "+", "-0.511"),
        (0.0, 3, "", "0"),
        (-0.0, 3, "", "0"),
        (-0.0, 3, "+", "+0"),
        (2.5e7, 3, "", "2.5e+07"),
        (float("nan"), 3, "", "nan"),
    ],
)
def test_rounded_numbers_have_no_exponent_below_a_million(value, digits, sign, expected):
    assert texts.rounded(value, digits, sign) == expected
