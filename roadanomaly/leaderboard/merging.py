"""Put options over a recipe, and folders in place of the names of members."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

REFERENCE = re.compile(r"@([A-Za-z0-9_-]+)(?:/(\d+))?")
"""`@name`, a member's first run, or `@name/1`, that of its seed 1."""


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Put one mapping over another, key by key; inner mappings are put together too.

    A part with another `name` takes the place of the whole part below it, since its options are
    others.

    >>> merged({"a": {"name": "x", "b": 1, "c": 2}}, {"a": {"c": 3}})
    {'a': {'name': 'x', 'b': 1, 'c': 3}}
    >>> merged({"a": {"name": "x", "b": 1}}, {"a": {"name": "y"}})
    {'a': {'name': 'y'}}
    """
    found = dict(below)
    for key, value in above.items():
        old = found.get(key)
        if isinstance(old, Mapping) and isinstance(value, Mapping):
            found[key] = _together(old, value)
        else:
            found[key] = value
    return found


def _together(below: Mapping[str, Any], above: Mapping[str, Any]) -> Mapping[str, Any]:
    same = above.get("name", below.get("name")) == below.get("name")
    return merged(below, above) if same else above


def replaced(value: Any, by: Callable[[str], str]) -> Any:
    """Return plain values with every text, at any depth, replaced by what `by` makes of it."""
    if isinstance(value, str):
        return by(value)
    if isinstance(value, Mapping):
        return {key: replaced(one, by) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [replaced(one, by) for one in value]
    return value
