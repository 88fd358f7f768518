"""HTML pages that stand alone: templates with text escaped."""

from __future__ import annotations

import jinja2


def template(name: str) -> jinja2.Template:
    """A template of this folder."""
    loader = jinja2.PackageLoader("sg2bench.report", "")
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template(name)
