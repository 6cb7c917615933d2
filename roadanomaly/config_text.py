"""YAML text that somebody wrote: parsed, or said what is wrong with it; aliases are bounded."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import yaml

from roadanomaly.errors import OptionError

T = TypeVar("T")

MOST = 1_000_000
"""Characters that aliases may make of a shorter text."""


def parsed_config(path: Path, parse: Callable[[str], T], hint: str) -> T:
    """Return what `parse` makes of a config file's text.

    Args:
        path: of the file, UTF-8.
        parse: reads YAML, as `yaml.safe_load` does.
        hint: what to name in the file's place where it cannot be read, a sentence.

    Raises:
        OptionError: the file cannot be read, is not YAML, or its aliases make too much of it.
    """
    try:
        return parse(bounded(path.read_text(encoding="utf-8")))
    except OSError as error:
        msg = f"the config {path} cannot be read: {error.strerror}. {hint}"
        raise OptionError(msg) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # as of the date 2024-31-12
        msg = f"the config {path} is not valid YAML: {' '.join(str(error).split())}"
        raise OptionError(msg) from error


def bounded(text: str) -> str:
    """Return the text, unless a few lines of aliases (`*name`) of aliases stand for endless ones.

    Reading these takes no time, but whoever writes or compares them takes minutes, and gigabytes.

    Raises:
        yaml.YAMLError: they do, it is nested too deeply, or it is not YAML.
    """
    try:
        length = _length(yaml.compose(text, Loader=yaml.SafeLoader), {})
    except RecursionError as error:
        msg = "it is nested too deeply; write it flatter"
        raise yaml.YAMLError(msg) from error
    if length > max(MOST, 2 * len(text)):
        msg = (
            f"its aliases (`*name`) make {length:.3g} characters of {len(text)}, at most {MOST} "
            "are read. Write the values out, or look where the file comes from"
        )
        raise yaml.YAMLError(msg)
    return text


def _length(node: yaml.Node | None, known: dict[int, float]) -> float:
    """Return how long the text would be with every alias written out; infinite where in itself."""
    if node is None:
        return 0
    if id(node) not in known:
        known[id(node)] = math.inf
        if isinstance(node, yaml.ScalarNode):
            known[id(node)] = 1.0 + len(node.value)
        else:
            is_map = isinstance(node, yaml.MappingNode)
            parts = [one for pair in node.value for one in pair] if is_map else node.value
            known[id(node)] = 1.0 + sum(_length(one, known) for one in parts)
    return known[id(node)]
