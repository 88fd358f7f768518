"""Experiments as YAML files: those that ship with the package, by name, and the user's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sg2bench import texts, yaml_files
from sg2bench.catalog import PROTOCOLS
from sg2bench.config import Experiment, describe, with_overrides


def load(
    experiment: Path | str | None, settings: Mapping[str, Any] | None = None, protocol: str | None = None
) -> Experiment:
    """Read an experiment: a YAML file, the name of one that ships with the package, or the defaults for None.

    A `protocol` takes the place of the experiment's, with its default metrics; `settings` go over both, by dotted keys
    such as `train.steps`. Raises ValueError that names the file, the key and what is wrong with it.
    """
    if protocol is not None and protocol not in PROTOCOLS:
        raise ValueError(f"--protocol {protocol}: expected {', '.join(PROTOCOLS)}")
    changed = f" with --set {', '.join(settings)}" if settings else ""
    if protocol is not None:
        settings = {"evaluate.protocol": protocol, "evaluate.metrics": []} | dict(settings or {})
    if experiment is None:
        return _experiment({"name": "default"}, settings, "--set")
    path = find(experiment)
    plain = yaml_files.read(path)
    if not isinstance(plain, dict):
        raise ValueError(f"{path}: an experiment is a mapping (name, data, model, …), got {type(plain).__name__}")
    return _experiment({"name": path.stem} | plain, settings, f"{path}{changed}")


def find(experiment: Path | str) -> Path:
    """Find an experiment's file: a path, or a name of `shipped`, even if a folder has that name, too.

    Raises ValueError for any other text.
    """
    path = Path(experiment)
    if path.exists() and not path.is_dir():
        return path
    known = shipped()
    if str(experiment) in known:
        return known[str(experiment)]
    if path.is_dir():
        raise ValueError(f"{path}: is a folder; name an experiment's YAML file")
    raise ValueError(f"{path}: no such experiment file, nor one that ships with sg2bench ({', '.join(known)})")


def shipped() -> dict[str, Path]:
    """The experiments that ship with the package, by name."""
    here = Path(__file__).parent
    installed = here / "shipped_experiments"  # the wheel's copy of the repository's experiments/
    folder = installed if installed.is_dir() else here.parent / "experiments"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def parse_settings(texts: Sequence[str]) -> dict[str, Any]:
    """`key=value` texts, the values in YAML, as settings. Raises ValueError for another form, or a key given twice."""
    settings: dict[str, Any] = {}
    for text in texts:
        key, value = _parse_setting(text)
        for other in settings:
            if f"{other}.".startswith(f"{key}.") or f"{key}.".startswith(f"{other}."):
                raise ValueError(f"--set {text}: {other} is given already; give each key once")
        settings[key] = value
    return settings


def dump(experiment: Experiment) -> str:
    """The experiment as YAML that `load` reads back."""
    return yaml_files.dump(experiment.model_dump(mode="json"))


def _experiment(plain: dict[str, Any], settings: Mapping[str, Any] | None, where: str) -> Experiment:
    try:
        return Experiment.model_validate(with_overrides(plain, settings or {}))
    except ValidationError as error:
        raise ValueError(f"{where}: {describe(error)}") from None
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def _parse_setting(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise ValueError(f"--set {texts.one_line(text)}: expected key=value, as in --set train.steps=200")
    try:
        return key, yaml_files.parse(value)
    except ValueError as error:
        raise ValueError(f"--set {texts.one_line(text)}: the value is not YAML: {error}") from None
