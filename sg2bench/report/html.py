"""HTML pages that stand alone: templates with text escaped, files within."""

from __future__ import annotations

import base64

import jinja2


def template(name: str) -> jinja2.Template:
    """A template of this folder."""
    loader = jinja2.PackageLoader("sg2bench.report", "")
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    return environment.get_template(name)


def data_uri(kind: str, content: bytes) -> str:
    """An address that holds the content itself; `kind` is its MIME type."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
