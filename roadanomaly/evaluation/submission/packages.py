"""Which packages a saved model needs, read from the code of the parts that it names."""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from roadanomaly.detectors import DETECTORS
from roadanomaly.encoders import ENCODERS
from roadanomaly.extras import EXTRAS
from roadanomaly.flows import FLOWS
from roadanomaly.generators import GENERATORS
from roadanomaly.refiners import REFINERS
from roadanomaly.segmenters import SEGMENTERS

OWN = "roadanomaly"

CATALOGUES = (DETECTORS, ENCODERS, FLOWS, GENERATORS, REFINERS, SEGMENTERS)


def distributions_of(description: Mapping[str, Any], known: Mapping[str, str]) -> list[str]:
    """Return the names under which what a model imports is installed, sorted, each once.

    Args:
        description: what `model.json` holds.
        known: import names that need no look-up, and what to install for each.
    """
    found: set[str] = set()
    for name in imports_of(description):
        if name in known:
            found.add(known[name])
        elif name in EXTRAS:
            found |= _of_extra(EXTRAS[name])
        else:
            found |= set(_installed().get(name, [name])[:1])
    return sorted(found)


def imports_of(description: Mapping[str, Any]) -> set[str]:
    """Return the packages that are imported where a model's parts are, by their import names.

    Args:
        description: what `model.json` holds; parts within parts count too.
    """
    left = {
        catalogue.entries[name].split(":")[0]
        for name in _names_in(description)
        for catalogue in CATALOGUES
        if name in catalogue
    }
    seen: set[str] = set()
    found: set[str] = set()
    while left:
        module = left.pop()
        seen.add(module)
        for one in _imports(module):
            (left if one.split(".")[0] == OWN else found).add(one)
        left.add(module.rpartition(".")[0] or OWN)
        left -= seen
    return {one.split(".")[0] for one in found} - sys.stdlib_module_names


def _names_in(value: Any) -> Iterator[str]:
    """Give what is called `name` anywhere in a description."""
    if isinstance(value, Mapping):
        if isinstance(value.get("name"), str):
            yield value["name"]
        for one in value.values():
            yield from _names_in(one)
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from _names_in(one)


@cache
def _imports(module: str) -> frozenset[str]:
    """Return the modules that one of this package imports, in its functions too; for types none."""
    path = _path(module)
    assert path is not None
    found = set()
    for node in _nodes(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            own = node.module.split(".")[0] == OWN
            found |= {node.module} | {one for one in inner if own and _path(one)}
    return frozenset(found)


def _nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Give all nodes below one, except what is imported for the type checker alone."""
    for one in ast.iter_child_nodes(node):
        if isinstance(one, ast.If) and ast.unparse(one.test) == "TYPE_CHECKING":
            continue
        yield one
        yield from _nodes(one)


@cache
def _path(module: str) -> Path | None:
    """Return the file of a module of this package; None where there is no such module."""
    root = importlib.util.find_spec(OWN)
    assert root is not None
    assert root.origin is not None
    path = Path(root.origin).parent.joinpath(*module.split(".")[1:])
    places = (path.with_suffix(".py"), path / "__init__.py")
    return next((place for place in places if place.is_file()), None)


@cache
def _installed() -> Mapping[str, list[str]]:
    return importlib.metadata.packages_distributions()


def _of_extra(extra: str) -> set[str]:
    """Return what an extra installs."""
    wanted = re.compile(rf"extra == [\"']{re.escape(extra)}[\"']")
    lines = [line for line in importlib.metadata.requires(OWN) or () if wanted.search(line)]
    return {re.split(r"[^A-Za-z0-9._-]", line)[0] for line in lines}
