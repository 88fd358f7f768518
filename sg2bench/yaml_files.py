"""YAML files, read strictly: duplicate keys are refused, and so is everything that no experiment needs.

Scalars follow YAML 1.2: `no`, `007` and `2020-01-01` are strings, `1e-4` is a number.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any, ClassVar

import yaml
from yaml import MarkedYAMLError, Node

_MOST_BYTES = 1_000_000
_MOST_NODES = 100_000
_DEEPEST = 30
_TAG = "tag:yaml.org,2002:"
_RESOLVERS = (
    ("null", r"~|null|Null|NULL|", "~nN\0"),
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?(0|[1-9][0-9]{0,18})", "-+0123456789"),
    ("float", r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", "-+."),
    ("merge", r"<<", "<"),
)


class _Loader(yaml.SafeLoader):
    """Loader of plain scalars, lists and mappings that refuses duplicate keys and unbounded aliases."""

    yaml_implicit_resolvers: ClassVar[dict[Any, Any]] = {}  # type: ignore[misc]
    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self.depth += 1
        if self.depth > _DEEPEST:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise MarkedYAMLError(problem="nested too deeply", problem_mark=mark)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def get_single_node(self) -> Any:
        node = super().get_single_node()
        if node is not None and _size(node, {}) > _MOST_NODES:
            raise MarkedYAMLError(problem="too many entries (counting aliases)", problem_mark=node.start_mark)
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if not isinstance(key, yaml.ScalarNode):
                raise MarkedYAMLError(problem="a key must be a word", problem_mark=key.start_mark)
            if key.value in seen:
                raise MarkedYAMLError(problem=f"`{key.value}` appears twice", problem_mark=key.start_mark)
            seen.add(key.value)
            if key.tag != f"{_TAG}merge":
                key.tag = f"{_TAG}str"
        return super().construct_mapping(node, deep)

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        kind = node.tag.removeprefix(_TAG)
        if kind not in ("null", "bool", "int", "float", "str", "seq", "map"):
            raise MarkedYAMLError(problem=f"values of the type `{kind}` are not allowed", problem_mark=node.start_mark)
        return super().construct_object(node, deep)


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Dumper that quotes texts which YAML 1.1 or 1.2 would read as something else: `no`, `1e3`."""


for _kind, _pattern, _first in _RESOLVERS:
    for _class in (_Loader, _Dumper):
        _class.add_implicit_resolver(
            f"{_TAG}{_kind}", re.compile(rf"(?:{_pattern})\Z"), [c.strip("\0") for c in _first]
        )


def _size(node: Node, known: dict[int, int]) -> int:
    """Count nodes, those behind aliases each time they are used."""
    if id(node) in known:
        return known[id(node)]
    known[id(node)] = _MOST_NODES + 1  # for a node that contains itself
    parts = node.value if isinstance(node, yaml.SequenceNode) else ()
    if isinstance(node, yaml.MappingNode):
        parts = [part for pair in node.value for part in pair]
    known[id(node)] = 1 + sum(_size(part, known) for part in parts)
    return known[id(node)]


def parse(text: str) -> Any:
    """Parse YAML. Raises ValueError with line and column."""
    if len(text) > _MOST_BYTES:
        raise ValueError(f"longer than {_MOST_BYTES} characters: not an experiment")
    try:
        return yaml.load(text, _Loader)
    except MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ValueError(f"{where}{error.problem or error.context or 'not YAML'}") from None
    except yaml.YAMLError as error:
        raise ValueError(f"not YAML: {' '.join(str(error).split())}") from None


def dump(value: Any, width: int | None = None) -> str:
    """Write scalars, lists and mappings as YAML that `parse` reads back; `width` limits lines, in characters."""
    return str(yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=width))


def read(path: Path) -> Any:
    """Read a YAML file. Raises ValueError with the file, and the line and column of an error."""
    if path.exists() and not path.is_file():
        raise ValueError(f"{path}: {'a folder' if path.is_dir() else 'a device or pipe'}, not a file")
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError(f"larger than {_MOST_BYTES} bytes: not an experiment")
        return parse(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path}: cannot be read as YAML: it is not text in UTF-8") from None
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise ValueError(f"{path}: cannot be read as YAML: {error}") from None
