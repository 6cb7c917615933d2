"""Fill a page's template; style and scripts go into the page, so that it needs no other file."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from roadanomaly.report.tables.results import METRICS
from roadanomaly.report.tables.table import show


def render(template: str, **values: Any) -> str:
    """Return a page.

    Args:
        template: name of a file in `report/web/`.
        values: what it shows; text is escaped, and `data` is the JSON for the page's scripts.
    """
    environment = Environment(
        loader=PackageLoader("roadanomaly.report", "web"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters["show"] = show
    environment.filters["show_ap"] = lambda value: show(value, METRICS[0])
    environment.globals["zip"] = zip
    environment.globals["whole"] = lambda name: _whole(environment, name)
    return environment.get_template(template).render(**values)


def _whole(environment: Environment, name: str) -> Markup:
    """Return a style or script file as it is."""
    assert environment.loader is not None
    return Markup(environment.loader.get_source(environment, name)[0])
