"""A user's own images in the styles of latents or references: single images, sheets, an animation between styles."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from rich.progress import track
from torch import Tensor

from sg2bench import cache
from sg2bench.data.images import EXTENSIONS, read_image
from sg2bench.evaluation.grids import tiles
from sg2bench.evaluation.translate import to_float, to_uint8
from sg2bench.models.blocks import Encoded
from sg2bench.models.networks import Networks

_SHEET = 10
_ANIMATED_SOURCES, _ANIMATED_DOMAINS, _ANIMATED_STYLES = 6, 6, 4
_MEAN_OF = 10_000
_MILLISECONDS = 80


@dataclass(frozen=True)
class Picture:
    """An image of a folder: `group` is the folder it lies in (`.` for none), pixels uint8 (3, S, S)."""

    group: str
    stem: str
    pixels: Tensor


@dataclass(frozen=True)
class Style:
    """What the generator is given (style_dim,), for images of a domain; the reference it was taken from, if any."""

    domain: str
    name: str
    code: Tensor
    reference: Tensor | None = None


def read_folder(folder: Path, image_size: int) -> list[Picture]:
    """The images of a folder and of the folders in it, in name order, each whole and resized to a square.

    Raises ValueError if there are none, or if two would get the same name.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder")
    found = [*folder.iterdir(), *(path for path in folder.glob("*/*") if path.parent.name[0] != ".")]
    files = sorted(
        path for path in found if path.suffix.lower() in EXTENSIONS and path.is_file() and path.name[0] != "."
    )
    if not files:
        raise ValueError(f"{folder}: holds no images ({', '.join(EXTENSIONS)}), nor do the folders in it")
    pictures, side = {}, (image_size, image_size)
    for file in files:
        group = file.parent.relative_to(folder).as_posix()
        if (group, file.stem) in pictures:
            raise ValueError(f"{file}: another image there has the same name but for its ending; rename one")
        pixels = np.array(read_image(file).resize(side, Image.Resampling.BILINEAR))
        pictures[group, file.stem] = Picture(group, file.stem, torch.from_numpy(pixels).permute(2, 0, 1))
    return list(pictures.values())


def name_domains(number: int, named: str | None) -> tuple[str, ...]:
    """Names of a model's domains, in the order of its labels: as given, else `domain-0` and so on.

    Raises ValueError if other than `number` names are given, or one that cannot be a folder's.
    """
    if named is None:
        return tuple(f"domain-{label}" for label in range(number))
    names = tuple(name.strip() for name in named.split(","))
    if len(names) != number or len(set(names)) != number:
        raise ValueError(f"--domains {named}: name each of the model's {number} domains once, in training's order")
    if odd := [name for name in names if not re.fullmatch(r"[^./\\][^/\\]*", name)]:
        raise ValueError(f"--domains {named}: `{odd[0]}` cannot name a folder")
    return names


@torch.inference_mode()
def latent_styles(nets: Networks, domains: Sequence[str], seeds: int, psi: float) -> list[Style]:
    """Styles of latents 0 … seeds - 1, the same for every domain, drawn toward the domain's mean style.

    `psi` 1 leaves them, 0 gives the mean: `mean + psi * (style - mean)`, over 10,000 latents. Raises ValueError if psi
    is given for a model without a mapping network.
    """
    if psi != 1 and nets.condition != "style":
        raise ValueError("--psi draws style codes together; this model has none")
    device = next(nets.parameters()).device
    latents = torch.cat([_latents(seed, 1, nets.latent_dim) for seed in range(seeds)]).to(device)
    many = _latents(0, _MEAN_OF, nets.latent_dim).to(device) if psi != 1 else None
    styles = []
    for label, domain in enumerate(domains):
        codes = nets.latent_style(latents, torch.full((seeds,), label, device=device))
        if many is not None:
            mean = nets.latent_style(many, torch.full((_MEAN_OF,), label, device=device)).mean(0)
            codes = mean + psi * (codes - mean)
        styles += [Style(domain, f"seed-{seed}", code) for seed, code in enumerate(codes)]
    return styles


@torch.inference_mode()
def reference_styles(nets: Networks, domains: Sequence[str], references: Sequence[Picture], where: Path) -> list[Style]:
    """Styles of reference images, each of the domain that its folder names.

    Raises ValueError for an unknown domain, or if the model takes no references.
    """
    if nets.condition.startswith("label"):
        raise ValueError("this model takes no references: it is given the domain alone; use --latent-seeds 1")
    device = next(nets.parameters()).device
    styles = []
    for picture in references:
        if picture.group not in domains:
            raise ValueError(
                f"{where}: references lie in folders named by domain ({', '.join(domains)}), found `{picture.group}`; "
                "--domains gives the names in the order of training"
            )
        label = torch.tensor([domains.index(picture.group)], device=device)
        code = nets.reference_style(to_float(picture.pixels[None].to(device)), label)[0]
        styles.append(Style(picture.group, picture.stem, code, picture.pixels))
    return styles


@torch.inference_mode()
def write(nets: Networks, sources: Sequence[Picture], styles: Sequence[Style], out: Path, frames: int) -> int:
    """Write every source in every style, and return how many images that were.

    `images/<folder of the source>2<domain>/<source>_<number of the style>.png` (`images/<domain>/` where the sources
    lie in no folders), `styles.csv` with the number of each style, counted from 1 in its domain, `grids/<domain>.png`
    (ten sources across, ten styles down, on as many sheets as that takes), and, unless `frames` is 0,
    `interpolation.webp`, which moves through the first styles of the first domains in as many frames a step. Raises
    ValueError if `out` exists.
    """
    if out.exists():
        raise ValueError(f"{out}: exists already; give a folder that does not")
    nets.eval()
    device = next(nets.parameters()).device
    domains = {style.domain: [other for other in styles if other.domain == style.domain] for style in styles}
    with cache.atomic_folder(out) as work:
        _write_styles(domains, work / "styles.csv")
        (work / "grids").mkdir()
        for across in track(range(0, len(sources), _SHEET), "Translating", transient=True):
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
                            _save(image, work / "images" / pair / f"{source.stem}_{number:02d}.png")
                    name = domain + _page(across, len(sources)) + _page(down, len(of_domain))
                    _sheet(some, rows).save(work / "grids" / f"{name}.png")
        if frames:
            _animate(nets, _spread(sources), domains, frames, work / "interpolation.webp")
    return len(sources) * len(styles)


def _page(start: int, total: int) -> str:
    """`-03` for the third of several sheets, zeros in front so that they sort; nothing for the only one."""
    last = -(-total // _SHEET)
    return f"-{start // _SHEET + 1:0{len(str(last))}d}" if last > 1 else ""


def _spread(sources: Sequence[Picture]) -> list[Picture]:
    """A few sources, from all folders alike."""
    few = min(_ANIMATED_SOURCES, len(sources))
    return [sources[place * len(sources) // few] for place in range(few)]


def _latents(seed: int, number: int, latent_dim: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((number, latent_dim), dtype=np.float32))


def _in_style(nets: Networks, encoded: Encoded, code: Tensor) -> Tensor:
    """The encoded sources in one style, uint8 (n, 3, S, S)."""
    return to_uint8(nets.decode(encoded, code.expand(len(encoded.features), -1))).cpu()


def _sheet(sources: Sequence[Picture], rows: Sequence[Sequence[Tensor | None]]) -> Image.Image:
    """Sources across the top, each row in one style; references to the left where there are any."""
    blank = torch.full_like(sources[0].pixels, 255)
    top = [source.pixels for source in sources]
    if rows[0][0] is None:
        return tiles([top, *([image for image in row if image is not None] for row in rows)])
    return tiles([[blank, *top], *([blank if image is None else image for image in row] for row in rows)])


def _save(image: Tensor, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image.permute(1, 2, 0).numpy()).save(path)


def _write_styles(domains: Mapping[str, Sequence[Style]], path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["domain", "number", "style"])
        for domain, styles in domains.items():
            writer.writerows([domain, number, style.name] for number, style in enumerate(styles, 1))


def _animate(
    nets: Networks, sources: Sequence[Picture], domains: Mapping[str, Sequence[Style]], frames: int, path: Path
) -> None:
    """Sources above, below them the same in a style that moves, linearly from code to code and back to the first."""
    some = list(domains.values())[:_ANIMATED_DOMAINS]
    stops = [style.code for styles in some for style in styles[:_ANIMATED_STYLES]]
    moves = zip(stops, [*stops[1:], stops[0]], strict=True)
    codes = [torch.lerp(a, b, step / frames) for a, b in moves for step in range(frames)]
    still = [source.pixels for source in sources]
    encoded = nets.encode(to_float(torch.stack(still).to(codes[0].device)))
    pictures = [
        tiles([still, list(_in_style(nets, encoded, code))]) for code in track(codes, "Interpolating", transient=True)
    ]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=_MILLISECONDS, loop=0, quality=90)
