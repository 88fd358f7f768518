"""experiments."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sg2bench.cli import options


def experiments(
    copy: Annotated[
        str | None, typer.Option(metavar="NAME", help="Write this experiment to a file, for editing.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="File to write; default: NAME.yaml.")] = None,
) -> None:
    """List the experiments that ship with sg2bench, or copy one."""
    from sg2bench import experiments as shipped
    from sg2bench.files import atomic_file

    known = shipped.shipped()
    if copy is None:
        if out is not None:
            raise ValueError("--out needs --copy NAME")
        for name, path in known.items():
            options.print_plain(f"{name:16} {shipped.load(path).description}")
        return
    if copy not in known:
        raise ValueError(f"--copy {copy}: no such experiment (known: {', '.join(known)})")
    target = out or Path(f"{copy}.yaml")
    if target.exists():
        raise ValueError(f"{target}: already exists; name another file with --out")
    with atomic_file(target) as temporary:
        temporary.write_bytes(known[copy].read_bytes())
    options.print_plain(f"{target} written; run it with: sg2bench ablate {target}")
