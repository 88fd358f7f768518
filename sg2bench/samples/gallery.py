"""Galleries of a user's images in the styles of latents or references: images, grids, an animation between styles."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
import torch
from PIL import Image
from torch import Tensor

from sg2bench.evaluation.outputs import finite, to_float, to_uint8
from sg2bench.files import atomic_folder
from sg2bench.models.blocks import Encoded
from sg2bench.models.networks import Networks
from sg2bench.progress import track
from sg2bench.samples.grids import tiles
from sg2bench.samples.pictures import Picture
from sg2bench.samples.styles import Style

_SHEET = 10
_ANIMATED_SOURCES, _ANIMATED_DOMAINS, _ANIMATED_STYLES = 6, 6, 4
_MILLISECONDS = 80


@torch.inference_mode()
def write(nets: Networks, sources: Sequence[Picture], styles: Sequence[Style], out: Path, frames: int) -> pd.DataFrame:
    """Write every source in every style; return a row per image: source, domain, number, style, file.

    Files written:

    * `images/<folder of the source>2<domain>/<source>_<number of the style>.png`; `images/<domain>/` for sources that
      are not in folders.
    * `styles.csv`: the number of each style, counted from 1 in its domain.
    * `grids/<domain>.png`: ten sources across, ten styles down, on as many sheets as needed.
    * `interpolation.webp`, unless `frames` is 0: an animation through the first styles of the first domains, with
      `frames` frames from one style to the next.

    Raises ValueError if `out` exists.
    """
    if out.exists():
        raise ValueError(f"{out}: already exists; name a new folder")
    nets.eval()
    device = next(nets.parameters()).device
    written = []
    domains = {style.domain: [other for other in styles if other.domain == style.domain] for style in styles}
    with atomic_folder(out) as work:
        _write_styles(domains, work / "styles.csv")
        (work / "grids").mkdir()
        for across in track(range(0, len(sources), _SHEET), "Translating"):
            some = sources[across : across + _SHEET]
            encoded = nets.encode(to_float(torch.stack([source.pixels for source in some]).to(device)))
            for domain, of_domain in domains.items():
                for down in range(0, len(of_domain), _SHEET):
                    rows = []
                    for number, style in enumerate(of_domain[down : down + _SHEET], down + 1):
                        outputs = _in_style(nets, encoded, style.code)
                        rows.append([style.reference, *outputs])
                        for source, image in zip(some, outputs, strict=True):
                            pair = domain if source.group == "." else f"{source.group}2{domain}"
                            file = Path("images", pair, f"{source.stem}_{number:02d}.png")
                            _save(image, work / file)
                            name = Path(source.group, source.stem).as_posix()
                            written.append((name, domain, number, style.name, (out / file).as_posix()))
                    name = domain + _page(across, len(sources)) + _page(down, len(of_domain))
                    _sheet(some, rows).save(work / "grids" / f"{name}.png")
        if frames:
            _animate(nets, _spread(sources), domains, frames, work / "interpolation.webp")
    # Names that are not UTF-8 stay objects: pyarrow, where installed, refuses them.
    table = pd.DataFrame(written, columns=["source", "domain", "number", "style", "file"], dtype=object)
    return table.astype({"number": int})


def _page(start: int, total: int) -> str:
    """Return the suffix of a sheet's name: `-03` for the third of several, padded to sort; empty for a single sheet."""
    last = -(-total // _SHEET)
    return f"-{start // _SHEET + 1:0{len(str(last))}d}" if last > 1 else ""


def _spread(sources: Sequence[Picture]) -> list[Picture]:
    """Choose a few sources, evenly from all folders."""
    few = min(_ANIMATED_SOURCES, len(sources))
    return [sources[place * len(sources) // few] for place in range(few)]


def _in_style(nets: Networks, encoded: Encoded, code: Tensor) -> Tensor:
    """Decode the sources in one style, uint8 (n, 3, S, S)."""
    return to_uint8(finite(nets.decode(encoded, code.expand(len(encoded.features), -1)))).cpu()


def _sheet(sources: Sequence[Picture], rows: Sequence[Sequence[Tensor | None]]) -> Image.Image:
    """Arrange sources in the top row, each style in a row below, and references, if any, in the left column."""
    blank = torch.full_like(sources[0].pixels, 255)
    top = [source.pixels for source in sources]
    if rows[0][0] is None:
        return tiles([top, *([image for image in row if image is not None] for row in rows)])
    return tiles([[blank, *top], *([blank if image is None else image for image in row] for row in rows)])


def _save(image: Tensor, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image.permute(1, 2, 0).numpy()).save(path)


def _write_styles(domains: Mapping[str, Sequence[Style]], path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8", errors="replace") as file:  # file names need not be UTF-8
        writer = csv.writer(file)
        writer.writerow(["domain", "number", "style"])
        for domain, styles in domains.items():
            writer.writerows([domain, number, style.name] for number, style in enumerate(styles, 1))


def _animate(
    nets: Networks, sources: Sequence[Picture], domains: Mapping[str, Sequence[Style]], frames: int, path: Path
) -> None:
    """Write an animation: sources above; below, the same sources in a style that moves linearly from code to code."""
    some = list(domains.values())[:_ANIMATED_DOMAINS]
    stops = [style.code for styles in some for style in styles[:_ANIMATED_STYLES]]
    moves = zip(stops, [*stops[1:], stops[0]], strict=True)
    codes = [torch.lerp(a, b, step / frames) for a, b in moves for step in range(frames)]
    still = [source.pixels for source in sources]
    encoded = nets.encode(to_float(torch.stack(still).to(codes[0].device)))
    pictures = [tiles([still, list(_in_style(nets, encoded, code))]) for code in track(codes, "Interpolating")]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=_MILLISECONDS, loop=0, quality=90)
