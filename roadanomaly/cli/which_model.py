"""Which model a command means: a run before its inputs, `--model`, or the package's own."""

from __future__ import annotations

import glob
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from jsonargparse import ArgumentParser

from roadanomaly.errors import OptionError
from roadanomaly.files import files_in
from roadanomaly.model_folder import is_model, place_of, require_no_export
from roadanomaly.models import DEFAULT, folder_of, names


def add_model(parser: ArgumentParser, what: str = "folder of a run or a saved model") -> None:
    """Add `--model`.

    Args:
        parser: of a command that takes a run.
        what: it takes besides names.
    """
    parser.add_argument(
        "--model",
        type=str,
        default=None,
        help=f"a model of the package by its name, or {what}; where no run is given: {DEFAULT}",
    )


def the_model(run: str | None, model: str | None) -> str:
    """Return the one model that a command works on, a folder or a name.

    Args:
        run: what stood in its place, or None.
        model: what `--model` says, or None.

    Raises:
        OptionError: both were given.
        DataError: neither was given, and the package carries no default model.
    """
    if run is not None and model is not None:
        msg = f"both a run, {run!r}, and --model {model} were given; give one of them."
        raise OptionError(msg)
    chosen = run if run is not None else model
    if chosen is None:
        folder_of(DEFAULT)
    return chosen or DEFAULT


def holds_model(folder: Path) -> bool:
    """Return whether a folder is a run or a saved model."""
    return is_model(place_of(folder))


@dataclass(frozen=True)
class Inputs:
    """What stands behind the run on a command line, and how to tell it from a run.

    Args:
        what: one of them is, for messages.
        suffixes: of such files, in lower case.
        recursive: whether a folder stands for what lies in its folders, too.
        is_address: whether a word is such an input without being a file.
        is_run: whether a folder can be the run.
        run: what that is, for messages.
    """

    what: str
    suffixes: Sequence[str]
    recursive: bool = False
    is_address: Callable[[str], bool] = lambda word: False
    is_run: Callable[[Path], bool] = holds_model
    run: str = "a folder that `roadanomaly train` or `Model.save` wrote"

    def split(self, words: Sequence[str], model: str | None) -> tuple[str, list[str]]:
        """Return the model, a folder or a name, and the inputs.

        A first word that is a folder with a model is the run. All others are inputs.

        Args:
            words: of the command line, at least one.
            model: what `--model` says, or None.

        Raises:
            OptionError: both a run and `--model`, no input, or a first word that is neither.
            DataError: no model is named, and the package carries no default one; or the first word
                is an export, and the command runs none.
        """
        first, *rest = words
        if self.is_run(Path(first)):
            chosen = the_model(first, model)
            if not rest:
                msg = f"{first} is the run; name at least one {self.what} after it."
                raise OptionError(msg)
            return chosen, rest
        if model is None and not self._can_be_input(first):
            require_no_export(Path(first))
            raise OptionError(self._neither(first))
        return the_model(None, model), list(words)

    def _can_be_input(self, word: str) -> bool:
        path = Path(word)
        if self.is_address(word) or path.suffix.lower() in self.suffixes:
            return True
        if path.is_dir():
            return bool(files_in(path, self.suffixes, recursive=self.recursive))
        return path.exists() or glob.has_magic(word)

    def _neither(self, word: str) -> str:
        is_there = "holds neither" if Path(word).exists() else "does not exist"
        known = names()
        named = f"--model {word if word in known else '|'.join(known)}"
        instead = (
            f"a model of the package is named by {named}"
            if known
            else "this installation carries no model of its own"
        )
        return (
            f"{word!r} is read neither as a run nor as {_an(self.what)}: it {is_there}. A run is "
            f"{self.run}; {_an(self.what)} is a file, folder or quoted glob of "
            f"{', '.join(self.suffixes)}. Without a run the model is `{DEFAULT}`; {instead}."
        )


def _an(what: str) -> str:
    return f"{'an' if what[0] in 'aeio' else 'a'} {what}"
