"""Every command that the pages show exists, with every option that they give it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from contextlib import redirect_stdout, suppress
from functools import cache
from io import StringIO
from pathlib import Path

import pytest

from roadanomaly.cli.main import COMMANDS, main

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
FENCE = re.compile(r"^```(?:sh|bash|)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")
TWO_WORDS = {"export": ("model", "submission"), "flow": ("train", "sample")}
"""Commands that need a second word; `train generator` may have one."""

STOPS = ("|", "&&", "||", ";", ">", "2>", "&", "done", "then")


def commands(page: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield name and options of each command in the page's blocks."""
    for block in FENCE.findall(page.read_text(encoding="utf-8")):
        for line in block.replace("\\\n", " ").splitlines():
            yield from _of_line(line)


def _of_line(line: str) -> Iterator[tuple[str, list[str]]]:
    try:
        words = shlex.split(line.replace("`", " "), comments=True)
    except ValueError:  # several lines between quotes
        words = line.split()
    for place, word in enumerate(words[:-1]):
        if word != "roadanomaly" or words[place + 1].startswith("-"):
            continue
        name, *rest = words[place + 1 :]
        rest = rest[: next((n for n, one in enumerate(rest) if one in STOPS), len(rest))]
        second = rest[0] if rest and not rest[0].startswith("-") else ""
        if second in TWO_WORDS.get(name, ()) or (name, second) == ("train", "generator"):
            name, rest = f"{name} {second}", rest[1:]
        yield name, [one.split("=")[0] for one in rest if one.startswith("--")]


@cache
def help_of(name: str) -> str:
    told = StringIO()
    with redirect_stdout(told), suppress(SystemExit):
        main([*name.split(), "--help"])
    return told.getvalue()


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_and_options_exist(page):
    for name, options in commands(page):
        assert name.split()[0] in COMMANDS, name
        text = help_of(name)
        for option in options:
            known = re.escape(option.split(".")[0])
            assert re.search(rf"{known}(?![\w])", text), f"{page.name}: {name} {option}"


def test_commands_are_found():
    """The pages have hundreds of commands; finding none would pass the test above."""
    found = [name for page in PAGES for name, _ in commands(page)]
    assert set(found) >= {"train", "evaluate", "predict", "export model", "flow train"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page):
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        made = link.startswith("made/") or "/made/" in link
        assert made or (page.parent / link).exists(), f"{page.name}: {link}"
