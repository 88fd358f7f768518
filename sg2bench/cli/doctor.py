"""doctor."""

from __future__ import annotations

from typing import Annotated

import typer

from sg2bench.cli import options

_STYLES = {"ok": "", "note": "yellow", "fails": "red"}


def doctor(json: Annotated[bool, typer.Option("--json", help="Print JSON instead.")] = False) -> None:
    """Check this machine: device, versions, weights, cache, network; say what would fail and how to fix it.

    Takes at most ten seconds and downloads nothing. Exit code 0, or 2 if something would fail. Include the output in
    bug reports.
    """
    import dataclasses
    from json import dumps

    from sg2bench import doctor as examination

    findings = examination.examine()
    if json:
        options.print_plain(dumps([dataclasses.asdict(finding) for finding in findings], indent=1, ensure_ascii=False))
    else:
        for finding in findings:
            options.print_plain(f"{finding.state:6}{finding.subject}: {finding.said}", _STYLES[finding.state])
            if finding.remedy:
                options.print_plain(f"      → {finding.remedy}", _STYLES[finding.state])
    if any(finding.state == "fails" for finding in findings):
        raise typer.Exit(2)
