"""The index of made pages, as Sphinx renders it: one way to each page, not two."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
NAMES = ("first", "second")


@pytest.fixture
def rendered(tmp_path, monkeypatch):
    """Return what writes pages with an index, and gives the links in the index's own text."""
    sphinx = pytest.importorskip("sphinx.application")
    pytest.importorskip("myst_parser")
    monkeypatch.syspath_prepend(str(DOCS))
    from pages.writing import write_pages

    def write(text, **options):
        source, site = tmp_path / "source", tmp_path / "site"
        write_pages(source, "Index", text, {one: f"# {one}\n" for one in NAMES}, **options)
        conf = {"extensions": ["myst_parser"], "root_doc": "index", "html_theme": "basic"}
        app = sphinx.Sphinx(
            source, None, site, tmp_path / "trees", "html", conf, status=None, warningiserror=True
        )
        app.build()
        page = (site / "index.html").read_text()
        body = page[page.index('role="main"') : page.index('role="navigation"', len(page) // 2)]
        return re.findall(r'href="(\w+)\.html"', body)

    return write


@pytest.mark.slow
def test_a_table_that_links_to_the_pages_is_not_repeated_below(rendered):
    table = "| page |\n| --- |\n" + "".join(f"| [`{one}`]({one}.md) |\n" for one in NAMES)
    assert rendered(table, linked=True) == list(NAMES)


@pytest.mark.slow
def test_pages_that_the_text_does_not_link_to_are_listed(rendered):
    assert rendered("A text.") == list(NAMES)


@pytest.mark.slow
def test_the_methods_are_linked_once_each(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS))
    from pages import methods

    methods.write(tmp_path)
    before, listed = (tmp_path / "index.md").read_text().split("```{toctree}\n:hidden:\n")
    names = listed.split("```")[0].split()
    assert re.findall(r"\]\((\w+)\.md\)", before) == names
    assert names == sorted(path.stem for path in tmp_path.glob("*.md") if path.stem != "index")
