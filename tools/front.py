"""Write the claim table of the committed study into README.md: `nox -s report`."""

from __future__ import annotations

import pandas as pd

from sg2bench import texts
from tools.tables import ROOT, replace

STUDY = ROOT / "reports/critters_study"
README = ROOT / "README.md"


def table() -> str:
    """Return a Markdown table of each term's purpose, the verdict, and the sentence with the evidence."""
    claims = pd.read_csv(STUDY / "claims.csv")
    lines = [
        [*map(texts.markdown, (claim.term, claim.purpose)), f"**{claim.verdict}**", texts.markdown(claim.sentence)]
        for claim in claims.itertuples()
    ]
    return texts.markdown_table(("term", "what the paper says it is for", "verdict", "evidence"), lines)


def main() -> None:
    README.write_text(replace(README.read_text(encoding="utf-8"), "claims", table()), encoding="utf-8")


if __name__ == "__main__":
    main()
