"""The pages of the docs site, before mkdocs: `nox -s docs` builds it, and is strict about links."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools import site

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    site.lay_out(folder)
    return folder


def test_a_link_to_a_folder_leads_to_its_page():
    assert site.as_page("[a](reports/x/) [b](https://host/x/) [c](#d)") == (
        "[a](reports/x/index.md) [b](https://host/x/) [c](#d)"
    )


def test_a_table_stands_apart_from_a_comment():
    assert site.as_page("<!-- mark -->\n| a |") == "<!-- mark -->\n\n| a |"


def test_links_work_at_the_paths_of_the_site(pages):
    names = [*pages.glob("*.md"), *(pages / "docs").glob("*.md"), *(pages / "reports").rglob("index.md")]
    assert pages / "README.md" in names
    assert pages / "reports/critters_short/index.md" in names
    for page in names:
        text = re.sub(r"```.*?```|`.*?`", "", page.read_text(encoding="utf-8"), flags=re.S)
        for link in re.findall(r"\]\((?!\w+:|#)([^)#]*)", text):
            assert (page.parent / link).is_file(), f"{page.relative_to(pages)}: {link}"


def test_the_menu_has_every_page(pages):
    menu = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2]
    listed = [name for name in re.findall(r"[\w/-]+\.md$", menu, re.M) if not name.startswith("reports/")]
    found = [path for folder in ("", "docs", "api") for path in (pages / folder).glob("*.md")]
    assert sorted(listed) == sorted(str(path.relative_to(pages)) for path in found)


def test_the_reference_has_the_public_functions(pages):
    assert "::: sg2bench.write_report\n" in (pages / "api/functions.md").read_text(encoding="utf-8")


def test_what_is_loaded_from_other_hosts_is_named(tmp_path):
    (tmp_path / "a").mkdir()
    page = '<a href="https://linked/"></a><img alt="" src="b.png"><script src=//cdn/x.js></script>'
    (tmp_path / "a/index.html").write_text(page + '<link rel="stylesheet" href="https://fonts/css">')
    assert site.loaded_elsewhere(tmp_path) == ["a/index.html: //cdn/x.js", "a/index.html: https://fonts/css"]
