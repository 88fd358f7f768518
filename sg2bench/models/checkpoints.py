"""Checkpoints in the format of the published code: a dict of state dicts by network, as a legacy pickle.

`NNNNNN_nets_ema.ckpt` holds generator, mapping_network and style_encoder (and `fan`, the face-alignment network, where
w_hpf > 0). `NNNNNN_nets.ckpt` also holds the discriminator. No code in a file is ever run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from sg2bench import tensor_files, weights
from sg2bench.config import Experiment, Model
from sg2bench.files import atomic_file, sha256
from sg2bench.layout import ema_file, nets_file
from sg2bench.models.networks import Networks

StateDict = dict[str, Tensor]
_OPTIONAL = "hpf.filter"
"""A constant buffer that some published files leave out."""
_WRAPPERS = {"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
"""Parts of keys inserted by DataParallel, torch.compile and other module wrappers, at any depth."""
_FORMS = {
    (("generator", "mapping_network", "style_encoder"), "from_rgb"),
    (("generator", "style_encoder"), "from_rgb"),
    (("generator",), "from_rgb"),
    (("generator",), "layers"),
}
"""Networks and first module of the generator, for each `model.condition`."""


def save_ema(nets: Networks, folder: Path, step: int) -> Path:
    """Write `<step>_nets_ema.ckpt` with the networks that generate images."""
    return _save(_states(nets), folder / ema_file(step))


def save(nets: Networks, discriminator: nn.Module, folder: Path, step: int) -> Path:
    """Write `<step>_nets.ckpt`, from which another training can start."""
    return _save(_states(nets) | {"discriminator": discriminator.state_dict()}, folder / nets_file(step))


def _save(states: Mapping[str, Mapping[str, Any]], path: Path) -> Path:
    with atomic_file(path) as temporary:
        tensor_files.save(states, temporary, _use_new_zipfile_serialization=False)
    return path


def build(model: Model, domains: int, path: Path) -> Networks:
    """Build the networks of a checkpoint.

    Raises ValueError like `load`. Networks much larger than the file are refused before memory is allocated for them.
    """
    stored = read(path)
    with torch.device("meta"):
        planned = Networks(model, domains).trained()
    states = [network.state_dict() for network in planned.values()]
    if _numbers(states) > 2 * _numbers(stored.values()):
        for name, network in planned.items():
            _refuse_other_shapes(network.state_dict(), stored.get(name, {}), name, path, "")
    nets = Networks(model, domains)
    load(nets, path, fan_weights=model.fan_weights)
    return nets


def _numbers(states: Iterable[StateDict]) -> int:
    return sum(tensor.numel() for state in states for tensor in state.values())


def load(nets: Networks, path: Path, discriminator: nn.Module | None = None, fan_weights: Path | None = None) -> None:
    """Load a checkpoint into `nets` (and the discriminator), strictly except for the constant high-pass filter.

    Face-alignment weights that the file lacks come from `fan_weights`, or from the folders of pretrained files. Raises
    ValueError that names the file, the first key that does not fit (or holds NaN), and the reason if the file shows it.
    """
    stored = read(path)
    wanted = dict(nets.named_children()) | ({"discriminator": discriminator} if discriminator is not None else {})
    fan_is_elsewhere = "fan" in wanted and "fan" not in stored
    if fan_is_elsewhere:
        del wanted["fan"]
    fitting = {name: _fit(network, name, stored, path, _why(stored, nets)) for name, network in wanted.items()}
    if fan_is_elsewhere:
        load_fan(nets, fan_weights)
    for name, network in wanted.items():
        network.load_state_dict(fitting[name], strict=True)


def load_fan(nets: Networks, path: Path | None) -> None:
    """Load wing.ckpt into the face-alignment network of `nets`; keys that the network lacks are ignored.

    Raises ValueError if the file is missing or does not fit.
    """
    found = find_fan(path)
    stored = tensor_files.load(found)
    state = stored.get("state_dict") if isinstance(stored, dict) else None
    if not tensor_files.is_state(state):
        raise ValueError(f"{found}: holds no `state_dict`; expected wing.ckpt, the face-alignment network")
    tensor_files.refuse_odd(state, found)
    known = nets.fan.state_dict()
    own = {key: value for key, value in _plain("fan", state, found).items() if key in known}
    nets.fan.load_state_dict(_fit(nets.fan, "fan", {"fan": own}, found, ""), strict=True)


def files_of(experiment: Experiment) -> dict[str, str]:
    """Return the SHA-256 of the files that training of a resolved experiment starts from, by configuration key.

    Raises ValueError if one is missing.
    """
    digests, start = {}, experiment.train.start_from
    if start:
        digests["train.start_from"] = _digest("train.start_from", start)
    if experiment.model.w_hpf and not (start and "fan" in read(start)):
        digests["model.fan_weights"] = _digest("model.fan_weights", find_fan(experiment.model.fan_weights))
    return digests


def _digest(key: str, path: Path) -> str:
    try:
        return sha256(path)
    except OSError as error:
        raise ValueError(f"{key}: {path}: {error.strerror}") from None


def find_fan(path: Path | None) -> Path:
    """Return the path of the face-alignment network: the given one, or a pretrained file. Raises ValueError if
    neither is known.
    """
    if (found := path or weights.given("wing.ckpt")) is None:
        raise ValueError(
            "model.w_hpf > 0 needs the weights of the face-alignment network: set model.fan_weights to the "
            "published wing.ckpt, or SG2BENCH_WEIGHTS to the folder that holds it"
        )
    return found


def read(path: Path) -> dict[str, StateDict]:
    """Read state dicts by network, without wrappers' parts in keys. Raises ValueError for a file in another format."""
    stored = tensor_files.load(path)
    if not isinstance(stored, dict):
        raise ValueError(f"{path}: not a checkpoint: it holds a {type(stored).__name__}, expected networks by name")
    for name, state in stored.items():
        if not tensor_files.is_state(state):
            raise ValueError(f"{path}: `{name}` is not a state dict; expected a file like 100000_nets_ema.ckpt")
    tensor_files.refuse_odd({f"{name}.{key}": v for name, state in stored.items() for key, v in state.items()}, path)
    return {str(name): _plain(str(name), state, path) for name, state in stored.items()}


def infer(path: Path) -> tuple[Model, int]:
    """Infer sizes and number of domains of a StarGAN v2 file from its shapes. Raises ValueError if it is not one."""
    stored = read(path)
    try:
        model, domains = _infer(stored)
        with torch.device("meta"):  # a crafted file may imply networks larger than memory
            nets = Networks(model, domains)
    except _OtherModelError:
        raise ValueError(
            f"{path}: its sizes cannot be inferred, as it does not hold the three networks of StarGAN v2; give "
            "--experiment"
        ) from None
    for name, network in nets.trained().items():
        _refuse_other_shapes(network.state_dict(), stored[name], name, path, "")
    return model, domains


class _OtherModelError(Exception):
    pass


def _infer(stored: Mapping[str, StateDict]) -> tuple[Model, int]:
    try:
        generator, mapping, encoder = (stored[name] for name in ("generator", "mapping_network", "style_encoder"))
        halvings = _count(encoder, "shared.{}.conv1.weight", 1)
        image_size = 2 ** (halvings + 2)
        first_width = len(generator["from_rgb.weight"])
        w_hpf = 0.0
        if _count(generator, "encode.{}.conv1.weight", 0) > halvings:
            w_hpf = 8 / generator[_OPTIONAL][1, 1].item() if _OPTIONAL in generator else 1.0
        model = Model(
            image_size=image_size,
            first_width=None if first_width == 2**14 // image_size else first_width,
            max_width=max(first_width, len(encoder[f"shared.{halvings}.conv2.weight"])),
            style_dim=generator["decode.0.norm1.fc.weight"].shape[1],
            latent_dim=mapping["shared.0.weight"].shape[1],
            mapping_width=len(mapping["shared.0.weight"]),
            w_hpf=w_hpf,
        )
        return model, _count(mapping, "unshared.{}.0.weight", 0)
    except (KeyError, IndexError, TypeError, ValueError, RuntimeError, ZeroDivisionError):
        raise _OtherModelError from None


def _count(state: StateDict, key: str, start: int) -> int:
    number = 0
    while key.format(start + number) in state:
        number += 1
    return number


def _plain(name: str, state: Mapping[str, Tensor], path: Path) -> StateDict:
    """Remove wrappers' parts from the keys of a network's state dict."""
    plain: StateDict = {}
    for key, tensor in state.items():
        short = ".".join(part for part in key.split(".") if part not in _WRAPPERS)
        if short in plain:
            raise ValueError(f"{path}: holds `{name}.{short}` twice, once as `{key}`; remove one")
        plain[short] = tensor
    return plain


def _fit(network: nn.Module, name: str, stored: Mapping[str, StateDict], path: Path, why: str) -> StateDict:
    """Return a file's state dict for a network. Raises ValueError if it does not fit."""
    if name not in stored:
        hint = "; start training from NNNNNN_nets.ckpt, as an EMA file holds no discriminator"
        raise ValueError(
            f"{path}: holds no `{name}` (it has {', '.join(stored) or 'nothing'})"
            + (hint if name == "discriminator" else why)
        )
    expected, found = network.state_dict(), stored[name]
    _refuse_other_shapes(expected, found, name, path, why)
    fitting = {
        key: tensor_files.as_expected(f"{name}.{key}", found.get(key, tensor), tensor, path)
        for key, tensor in expected.items()
    }
    for key, tensor in fitting.items():
        if key.endswith(_OPTIONAL) and not torch.allclose(tensor.cpu(), expected[key].cpu()):
            raise ValueError(f"{path}: `{name}.{key}` has another w_hpf{why}")
    return fitting


def _refuse_other_shapes(expected: StateDict, found: StateDict, name: str, path: Path, why: str) -> None:
    """Raise ValueError that names the first tensor of a network that is missing, unexpected or of another shape."""
    for key in [*expected, *found]:
        if key not in found and key.endswith(_OPTIONAL):
            continue
        if key not in found or key not in expected:
            whose = "the checkpoint" if key in found else "the configuration"
            raise ValueError(f"{path}: only {whose} has `{name}.{key}`{why}")
        if found[key].shape != expected[key].shape:
            shapes = f"{tuple(found[key].shape)}, the configuration needs {tuple(expected[key].shape)}"
            raise ValueError(f"{path}: `{name}.{key}` is {shapes}{why}")


def _why(stored: Mapping[str, StateDict], nets: Networks) -> str:
    """Return how the file's model differs from `nets`, inferred from shapes, to end an error message with."""
    try:
        (file_model, file_domains), (model, domains) = _infer(stored), _infer(_states(nets))
    except _OtherModelError:
        form = _form(stored)
        return ": the file was made with another model.condition" if form and form != _form(_states(nets)) else ""
    in_file, needed = {"domains": file_domains} | dict(file_model), {"domains": domains} | dict(model)
    different = [key for key in in_file if in_file[key] != needed[key]]
    if not different:
        return ""
    theirs, ours = (", ".join(f"{key} {side[key]}" for key in different) for side in (in_file, needed))
    return f": the file was made with {theirs}, the configuration has {ours}"


def _form(states: Mapping[str, StateDict]) -> tuple[tuple[str, ...], str] | None:
    """Return which of the known forms the networks have."""
    first = next((key.split(".")[0] for key in states.get("generator", {})), "")
    form = tuple(sorted(set(states) - {"fan", "discriminator"})), first
    return form if form in _FORMS else None


def _states(nets: Networks) -> dict[str, StateDict]:
    return {name: network.state_dict() for name, network in nets.named_children()}
