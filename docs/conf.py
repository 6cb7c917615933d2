"""The site: `make docs` builds it into `site/`; pages made from the code lie in `docs/made/`."""

from __future__ import annotations

import sys
from importlib.metadata import version as installed
from pathlib import Path

from sphinx.application import Sphinx

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

project = "roadanomaly"
author = "the roadanomaly team"
copyright = "the roadanomaly team, Apache-2.0"  # noqa: A001
release = version = installed("roadanomaly")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
]
exclude_patterns = ["pages"]
default_role = "literal"

myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3

autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
add_module_names = False
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_use_rtype = False
napoleon_custom_sections = [("Class facts", "Attributes")]

html_theme = "pydata_sphinx_theme"
html_title = "roadanomaly"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "show_toc_level": 2,
    "navbar_align": "left",
    "header_links_before_dropdown": 6,
    "navigation_with_keys": False,
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_sidebars = {"index": [], "start": []}


def make_pages(_: Sphinx) -> None:
    """Write the pages that are made from the code, before any page is read."""
    from pages import commands, methods, parts, tutorials

    made = HERE / "made"
    for kind in (commands, methods, parts, tutorials):
        kind.write(made / kind.__name__.rpartition(".")[2])


def setup(app: Sphinx) -> None:
    """Have the pages made."""
    app.connect("builder-inited", make_pages)
