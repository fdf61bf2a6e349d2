"""Rendering of the HTML templates of this folder."""

from __future__ import annotations

import base64
import hashlib
from importlib import resources


def render(template: str, **values: object) -> str:
    """A self-contained page; values are escaped, but for figures from `drawn`.

    Args:
        template: a file of this folder.
        values: what it shows; a name that is missing is an error.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("pipeline.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["sha256"] = lambda text: base64.b64encode(hashlib.sha256(text.encode()).digest()).decode(
        "ascii"
    )
    environment.filters["data_url"] = lambda png: "data:image/png;base64," + base64.b64encode(png).decode("ascii")
    return environment.get_template(template).render(**values)


def drawn(svg: str) -> str:
    """A figure of ours, not to be escaped: matplotlib escapes the names in it."""
    from markupsafe import Markup

    return Markup(svg)  # noqa: S704


def script(name: str) -> str:
    """A script of this folder, not to be escaped; the page's content security policy names its hash."""
    from markupsafe import Markup

    return Markup(resources.files("pipeline.report").joinpath(name).read_text(encoding="utf-8"))  # noqa: S704
