"""A data set in one word on the command line: `--data my_frames`, `--data camvid`."""

from __future__ import annotations

import glob
import math
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import yaml

from roadanomaly.data import DATASETS
from roadanomaly.data.image_arrays import SUFFIXES
from roadanomaly.data.roots import below_root, data_root
from roadanomaly.errors import DataError, OptionError, nearest


def with_sets_spelled(arguments: Sequence[str], flags: Collection[str]) -> list[str]:
    """Write a word behind some options as the mapping that it stands for.

    Args:
        arguments: of the command line, `--data WORD` and `--data=WORD` alike.
        flags: the options, `--data`; what is a mapping already, or nothing, stays.

    Raises:
        OptionError: several words follow, as where the shell has spelled out a glob.
        DataError: a word names nothing that could be a set.
    """
    words = list(arguments)
    for place, word in enumerate(words):
        flag, joined, value = word.partition("=")
        if flag not in flags:
            continue
        if joined:
            words[place] = f"{flag}={_spelled(flag, value)}"
        elif words[place + 1 : place + 2]:
            _refuse_several(flag, words[place + 1 :])
            words[place + 1] = _spelled(flag, words[place + 1])
    return words


def _refuse_several(flag: str, words: Sequence[str]) -> None:
    """Refuse further words behind an option, of which there can be none but options."""
    count = next((n for n, one in enumerate(words) if one.startswith("-")), len(words))
    if count == 2 and Path(words[1]).suffix.lower() in (".yaml", ".yml"):
        msg = (
            f"{flag} takes one word; a config file stands before all options: {words[1]} ... "
            f"{flag} {words[0]}, or behind --config."
        )
        raise OptionError(msg)
    if count > 1:
        msg = (
            f"{flag} takes one word, and {count} stand there: {words[0]}, {words[1]}, ... Name "
            "the folder, or put a glob in quotes, so that the shell leaves it alone."
        )
        raise OptionError(msg)


def _spelled(flag: str, word: str) -> str:
    if not _is_word(word):
        return word
    part = _part(flag, word)
    return yaml.safe_dump(part, default_style='"', default_flow_style=True, width=math.inf).strip()


def _is_word(word: str) -> bool:
    """Tell a name or a path from a mapping, from `null`, and from a word that is missing."""
    if not word.strip() or word.startswith(("{", "-")):
        return False
    try:
        held = yaml.safe_load(word)
    except (yaml.YAMLError, ValueError, RecursionError):  # as of `*.jpg`, or of `2024-31-12`
        return True
    return held is not None and not isinstance(held, dict)


def _part(flag: str, word: str) -> dict[str, Any]:
    """Return the set that a word names: one of the catalogue, or else ordinary frames.

    Raises:
        DataError: neither.
    """
    if word in DATASETS:
        return {"name": word}
    place = below_root(word)
    if place.is_file() and place.suffix.lower() not in SUFFIXES:
        msg = (
            f"{flag} {word} is a file, and no image. Give a folder or a quoted glob of "
            f"{', '.join(SUFFIXES)} files; frames of a video are written into a folder first, "
            f"as by `ffmpeg -i VIDEO -r 1 frames/%05d.png`."
        )
        raise DataError(msg)
    if not place.exists() and not glob.has_magic(word):
        msg = (
            f"{flag} {word}: there is no such folder{_nor_below(word)}, and no data set is called "
            f"so; {_hint(word)}"
        )
        raise DataError(msg)
    return {"name": "folder", "images": word, "kind": "ordinary"}


def _nor_below(word: str) -> str:
    return "" if Path(word).expanduser().is_absolute() else f", nor one below {data_root()}/"


def _hint(word: str) -> str:
    if len(Path(word).parts) > 1:
        return "give a folder of images, a quoted glob of them, or a name of `roadanomaly list`."
    close = nearest(word, DATASETS)
    stop = "" if close.endswith("?") else "."
    return f"{close}{stop} A folder of images or a quoted glob is taken, too."
