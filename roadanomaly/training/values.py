"""A run's config from plain values, typed as on the command line."""

from __future__ import annotations

from argparse import ArgumentError
from collections.abc import Mapping
from dataclasses import fields
from types import NoneType
from typing import Any, TypeVar, get_args, get_type_hints

from jsonargparse import ArgumentParser

from roadanomaly.errors import OptionError, nearest

C = TypeVar("C")


def config_of(kind: type[C], values: Mapping[str, Any], what: str) -> C:
    """Return what `kind` makes of values as a YAML file holds them.

    Args:
        kind: dataclass of a run.
        values: by key.
        what: stands at the start of messages.

    Raises:
        OptionError: a key that it lacks, one that is missing, or a value of another type.
    """
    names = [one.name for one in fields(kind)]  # type: ignore[arg-type]
    for key in values:
        if key not in names:
            msg = f"{what}: `{key}` is not a key of its config; {nearest(str(key), names)}"
            raise OptionError(msg)
    refuse_blank(kind, values, what)
    try:
        parsed = _parser(kind).parse_object(dict(values))
    except ArgumentError as error:
        msg = f"{what}: {' '.join(str(error).split())}"
        raise OptionError(msg) from error
    try:
        return kind(**{name: getattr(parsed, name) for name in names})
    except OptionError as error:
        msg = f"{what}: {error}"
        raise OptionError(msg) from error


def refuse_blank(kind: type, values: Mapping[str, Any], what: str) -> None:
    """Refuse a key without a value, which parsers let pass, where its annotation has no None.

    Args:
        kind: dataclass of the config.
        values: by key, all of which it has.
        what: stands at the start of messages.

    Raises:
        OptionError: names the key.
    """
    hints = get_type_hints(kind)
    for key, value in values.items():
        if value is None and NoneType not in get_args(hints[key]):
            msg = f"{what}: `{key}` has no value; give it one, or leave the key out."
            raise OptionError(msg)


PARSERS: dict[str, ArgumentParser] = {}
"""By kind; they take long to build."""


def _parser(kind: type) -> ArgumentParser:
    name = f"{kind.__module__}.{kind.__qualname__}"
    if name not in PARSERS:
        PARSERS[name] = ArgumentParser(exit_on_error=False)
        PARSERS[name].add_class_arguments(kind)
    return PARSERS[name]
