"""A literal table from short names to classes, imported only when asked for."""

from __future__ import annotations

import importlib
import inspect
import re
from argparse import ArgumentError
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from jsonargparse import ArgumentParser

from roadanomaly.errors import DataError, OptionError, UnknownName, UserError, joined, nearest
from roadanomaly.extras import missing_extra

T = TypeVar("T")

MOST = 2**63 - 1
"""Largest whole number that arrays, generators and the system take."""


class Catalogue(Generic[T]):
    """Short name to `"module:Class"`.

    A class may have a classmethod `upgrade(options) -> options`, which brings options as an earlier
    version took them to today's form.

    Args:
        kind: what an entry is, in the singular, for messages: `"detector"`.
        entries: the literal table.
        listed: whether `roadanomaly list` shows it.
    """

    every: ClassVar[list[Catalogue[Any]]] = []
    """All that were made: whoever imported a class has imported its catalogue."""

    def __init__(self, kind: str, entries: Mapping[str, str], *, listed: bool = True) -> None:
        self.kind = kind
        self.entries = dict(entries)
        self.listed = listed
        self.every.append(self)

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    def __len__(self) -> int:
        return len(self.entries)

    def get(self, name: str) -> type[T]:
        """Import and return the class called `name`.

        Raises:
            UnknownName: with the nearest known name.
            MissingExtra: a package that it needs is not installed; says how to install it.
        """
        if name not in self.entries:
            msg = f"no {self.kind} is called {name!r}; {nearest(name, self.entries)}"
            if self.listed:
                msg += f" `roadanomaly list` shows all {len(self)} {self.kind}s."
            raise UnknownName(msg)
        module, attribute = self.entries[name].split(":")
        try:
            return getattr(importlib.import_module(module), attribute)
        except ModuleNotFoundError as error:
            missing = missing_extra(error, f"the {self.kind} `{name}`")
            if missing is None:
                raise
            raise missing from error

    def name_of(self, part: object) -> str:
        """Return the short name of the class of `part`.

        Raises:
            UserError: no entry is of that class.
        """
        name = self._name_of(part)
        if name is None:
            msg = f"{_path(part)} is in no catalogue, so it cannot be saved; add a line for it."
            raise UserError(msg)
        return name

    def _name_of(self, part: object) -> str | None:
        path = _path(part)
        return next((name for name, entry in self.entries.items() if entry == path), None)

    def options(self, name: str) -> dict[str, inspect.Parameter]:
        """Return the constructor parameters of the entry `name`, in order."""
        parameters = inspect.signature(self.get(name)).parameters
        named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        return {key: one for key, one in parameters.items() if one.kind in named}

    def check_options(self, name: str, given: Mapping[str, Any]) -> None:
        """Refuse an option that the entry does not take.

        Raises:
            OptionError: names the option, the entry and the nearest valid option.
        """
        options = self.options(name)
        for option in given:
            if option not in options:
                msg = f"`{option}` is not an option of the {self.kind} `{name}`; " + (
                    nearest(option, options) if options else "it takes none."
                )
                raise OptionError(msg)
        missing = [
            key
            for key, parameter in options.items()
            if parameter.default is parameter.empty and key not in given
        ]
        if missing:
            told = option_text(self.get(name), missing[0])
            msg = (
                f"the {self.kind} `{name}` needs the option `{missing[0]}`, which was not given"
                f"{f': {told}' if told else '.'}"
            )
            raise OptionError(msg)

    def build(self, name: str, options: Mapping[str, Any] | None = None) -> T:
        """Make the entry `name` with the given options.

        Raises:
            UnknownName: no such entry.
            OptionError: an option that the entry does not take, lacks, or whose value it refuses.
        """
        given = self.upgraded({**(options or {}), "name": name})
        del given["name"]
        self.check_options(name, given)
        self.check_types(name, given)
        return self.get(name)(**given)

    def upgraded(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        """Return what `{"name": ..., option: value, ...}` says in today's form.

        What names no entry comes back as it is.
        """
        options = dict(spec)
        name = options.pop("name", None)
        if name not in self.entries:
            return dict(spec)
        upgrade = getattr(self.get(name), "upgrade", None)
        return {"name": name, **(upgrade(options) if upgrade else options)}

    def from_spec(self, spec: Mapping[str, Any] | None, given_by: str = "") -> T:
        """Make the entry that `{"name": ..., option: value, ...}` describes.

        Args:
            spec: the description.
            given_by: option of the command line that it comes from, which stands at the start of
                messages about its files: `"--train_data"`.

        Raises:
            OptionError: the name is missing, or an option is one that the entry does not take.
            UnknownName: no such entry.
            DataError: of a data set, whose files cannot be used.
        """
        options = dict(spec or {})
        name = options.pop("name", None)
        if not isinstance(name, str):
            article = "an" if self.kind[0] in "aeiou" else "a"
            msg = f"{article} {self.kind} needs a `name:`; known: {', '.join(sorted(self))}."
            raise OptionError(msg)
        try:
            return self.build(name, options)
        except UserError as error:
            told = _by(given_by, error) if given_by else error
            if told is error:
                raise
            raise told from error

    def check_types(self, name: str, given: Mapping[str, Any]) -> None:
        """Refuse a value that its annotation does not allow.

        Raises:
            OptionError: names the entry, the option and what is allowed.
        """
        check_types(self.get(name), given, f"the {self.kind} `{name}`")

    def summary(self, name: str) -> str:
        """Return the first line of the entry's docstring."""
        return (inspect.getdoc(self.get(name)) or "").split("\n")[0]


def _by(given_by: str, error: UserError) -> UserError:
    """Return a mistake in files with the option that they come from; any other as it is."""
    if error.mistakes:
        return joined([_by(given_by, one) for one in error.mistakes])
    if not isinstance(error, DataError):
        return error
    told = str(error).replace("`root`", f"`{given_by}.root`")
    return type(error)(f"`{given_by}`: {told}")


def called(part: object) -> str:
    """Return what users call a part, for messages: its short name in any catalogue.

    What is in none, as a class of the user's own, is called by its class.
    """
    names = (one._name_of(part) for one in Catalogue.every)
    return next((name for name in names if name is not None), type(part).__name__)


def _path(part: object) -> str:
    return f"{type(part).__module__}:{type(part).__qualname__}"


def check_types(made: type, given: Mapping[str, Any], what: str) -> None:
    """Refuse a value that the annotation of a constructor's parameter does not allow.

    Args:
        made: the class.
        given: parameters by name, all of which it has.
        what: stands at the start of the message.

    Raises:
        OptionError: names the option and what is allowed.
    """
    for key, value in given.items():
        check_whole_numbers(value, f"{what}: option `{key}`")
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(made, skip=set(inspect.signature(made).parameters) - set(given))
    try:
        parser.parse_object({key: _plain(value) for key, value in given.items()})
    except ArgumentError as error:
        reason = " ".join(str(error).replace("Parser key ", "option ").split())
        msg = f"{what}: {reason}"
        form = re.search(r'option "(\w+)": .*Mapping', reason)
        if form and (told := option_text(made, form[1])):
            msg += f". `{form[1]}` is {told}"
        raise OptionError(msg) from error


def option_text(made: type, option: str) -> str:
    """Return what a class's docstring says of a constructor's option, in a line; empty if nothing.

    >>> option_text(Catalogue, "listed")
    'whether `roadanomaly list` shows it.'
    """
    written = inspect.getdoc(made) or ""
    found = re.search(rf"^ {{4}}{option}: (.*(?:\n {{8}}.*)*)", written, re.MULTILINE)
    return " ".join(found[1].split()) if found else ""


def check_whole_numbers(value: Any, what: str) -> None:
    """Refuse a whole number beyond 64 bits, also in lists and dictionaries.

    Args:
        value: to look through.
        what: stands at the start of the message.

    Raises:
        OptionError: names the number.
    """
    if isinstance(value, Mapping):
        for key, one in value.items():
            check_whole_numbers(one, f"{what}, `{key}`,")
    elif isinstance(value, (list, tuple)):
        for one in value:
            check_whole_numbers(one, what)
    elif isinstance(value, int) and abs(value) > MOST:
        msg = f"{what} is {value}; a whole number lies within 64 bits. Give a smaller one."
        raise OptionError(msg)


def _plain(value: Any) -> Any:
    """Write tuples and paths as a config file would."""
    if isinstance(value, (tuple, list)):
        return [_plain(one) for one in value]
    return str(value) if isinstance(value, Path) else value
