"""Model files in the form of the published code: a dict of state dicts by network, keys without `module.`."""

from __future__ import annotations

from pathlib import Path

import torch

from sg2bench import cache
from sg2bench.models.networks import Networks


def save_ema(nets: Networks, folder: Path, step: int) -> Path:
    """Write `<step>_nets_ema.ckpt` with generator, mapping_network and style_encoder."""
    path = folder / f"{step:06d}_nets_ema.ckpt"
    with cache.atomic_file(path) as temporary:
        torch.save({name: network.state_dict() for name, network in nets.named_children()}, temporary)
    return path


def load_ema(nets: Networks, path: Path) -> Networks:
    """Load such a file, strictly, without running code of it; `nets` is changed in place and returned.

    Raises ValueError that names the file and the first key that does not fit.
    """
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ValueError(f"{path}: no such checkpoint") from None
    except Exception as error:  # torch raises many kinds for files that are not checkpoints
        raise ValueError(f"{path}: not a checkpoint that can be loaded safely ({str(error).splitlines()[0]})") from None
    if not isinstance(stored, dict):
        raise ValueError(f"{path}: not a checkpoint: holds a {type(stored).__name__}, expected networks by name")
    for name, network in nets.named_children():
        if name not in stored:
            raise ValueError(f"{path}: holds no `{name}` (it has {', '.join(map(str, stored))})")
        expected, found = network.state_dict(), stored[name]
        for key in [*expected, *found]:
            if key not in found or key not in expected:
                whose = "the checkpoint" if key in found else "the configuration"
                raise ValueError(f"{path}: only {whose} has `{name}.{key}`; do model sizes and domains match?")
            if found[key].shape != expected[key].shape:
                raise ValueError(
                    f"{path}: `{name}.{key}` is {tuple(found[key].shape)}, the configuration needs "
                    f"{tuple(expected[key].shape)}; do model sizes and domains match?"
                )
        network.load_state_dict(found, strict=True)
    return nets
