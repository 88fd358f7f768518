"""Lay out the pages of the docs site in build/pages, at the paths of the repository, so that links work in both places.

`nox -s docs` calls this and then mkdocs, which is configured in mkdocs.yml. It adds pages that the repository does not
have: a listing of each folder of reports, and the API reference, which mkdocstrings fills from docstrings.
`python -m tools.site check`, after mkdocs, fails if a page loads anything from another host.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import sg2bench

ROOT = Path(__file__).parent.parent
BUILD = ROOT / "build"
SHOWN = ("*.md", "LICENSE", "CITATION.cff", "action.yml", "docs", "experiments", "reports")
LINK_TO_FOLDER = re.compile(r"(?<=\]\()(?!\w+:)([^)#]*/)(?=\))")
LOADED = re.compile(r"""<(?:script|img|iframe|source|link)\b[^>]*?\b(?:src|href)=["']?((?:https?:)?//[^"' >]+)""")


def lay_out(pages: Path) -> None:
    """Write all pages of the site below `pages`, which is emptied first."""
    if pages.exists():
        shutil.rmtree(pages)
    for name in _shown_files():
        target = pages / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.suffix == ".md":
            target.write_text(as_page((ROOT / name).read_text(encoding="utf-8")), encoding="utf-8")
        else:
            shutil.copyfile(ROOT / name, target)
    for folder in sorted(path for path in (pages / "reports").rglob("*") if path.is_dir()):
        (folder / "index.md").write_text(listing(folder), encoding="utf-8")
    (pages / "api").mkdir()
    for name, text in reference().items():
        (pages / "api" / f"{name}.md").write_text(text, encoding="utf-8")


def _shown_files() -> list[str]:
    """Return the files that git tracks or would add, so that ignored reports stay off the site."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *SHOWN]
    names = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    return [name for name in names if (ROOT / name).is_file() and not name.startswith(".")]


def as_page(markdown: str) -> str:
    """Convert Markdown of the repository for mkdocs: links to folders lead to their pages, comments end their block."""
    return LINK_TO_FOLDER.sub(r"\1index.md", markdown).replace("-->\n|", "-->\n\n|")


def listing(folder: Path) -> str:
    """Return a page with links to all files of a folder, the report first, and then to its subfolders."""
    files = sorted(
        path.name for path in folder.iterdir() if path.is_file() and not path.name.startswith((".", "index"))
    )
    files.sort(key=lambda name: (name != "report.html", name != "leaderboard.md"))
    folders = sorted(path.name for path in folder.iterdir() if path.is_dir())
    links = [f"* [{name}]({name})" + ": in full" * (name == "report.html") for name in files] + [
        f"* [{name}/]({name}/index.md)" for name in folders
    ]
    return "\n".join([f"# {folder.name}", "", *links, ""])


def reference() -> dict[str, str]:
    """Return pages of the API reference by name: public functions, each package, and modules outside packages."""
    functions = [name for name in sg2bench.__all__ if not name.startswith("_")]
    pages = {"functions": "# Public functions\n\n[In Python](../docs/python.md) shows them at work.\n"}
    pages["functions"] += "".join(f"\n::: sg2bench.{name}\n" for name in functions)
    pages["modules"] = "# Other modules\n"
    for path in sorted((ROOT / "sg2bench").iterdir()):
        if (path / "__init__.py").is_file():
            pages[path.name] = (
                f"# sg2bench.{path.name}\n\n::: sg2bench.{path.name}\n    options: {{show_root_heading: false}}\n"
            )
        elif path.suffix == ".py" and not path.stem.startswith("_"):
            pages["modules"] += f"\n::: sg2bench.{path.stem}\n"
    return pages


def loaded_elsewhere(site: Path) -> list[str]:
    """List what pages of the built site load from other hosts, as `page: address`; ordinary links may lead there."""
    pages = ((page, page.read_text(encoding="utf-8")) for page in sorted(site.rglob("*.html")))
    return [f"{page.relative_to(site)}: {address}" for page, text in pages for address in LOADED.findall(text)]


if __name__ == "__main__":
    if sys.argv[1:] == ["check"]:
        sys.exit("\n".join(loaded_elsewhere(BUILD / "site")) or 0)
    lay_out(BUILD / "pages")
