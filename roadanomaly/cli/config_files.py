"""Config files before they are parsed: readable, of the right command, without a slip."""

from __future__ import annotations

import functools
from collections.abc import Collection, Sequence
from dataclasses import fields
from pathlib import Path

import yaml

from roadanomaly.cli.recipes import RECIPES
from roadanomaly.config_text import parsed_config
from roadanomaly.errors import OptionError, nearest


def config_words(
    arguments: Sequence[str], command: str, kind: type, further: Collection[str] = ()
) -> list[str]:
    """Return arguments with `--config` before a leading file, once that file was checked.

    Args:
        arguments: behind the command, the file first or behind `--config`.
        command: that takes it: `"flow train"`.
        kind: dataclass whose fields are its keys.
        further: keys that the file may hold beside these.

    Raises:
        OptionError: as `check_config` says.
    """
    words = list(arguments)
    if words and not words[0].startswith("-"):
        words = ["--config", *words]
    if "--config" in words[:-1]:
        check_config(Path(words[words.index("--config") + 1]), command, kind, further)
    return words


def check_config(path: Path, command: str, kind: type, further: Collection[str] = ()) -> None:
    """Refuse a config file that is missing, not YAML, another command's, or has an unknown key.

    Arguments as of `config_words`.

    Raises:
        OptionError: names the file, and the command that it is for, or line and nearest key.
    """
    known = {one.name for one in fields(kind)} | set(further)
    lines = _lines_of_keys(path)
    for key, line in lines.items():
        if key in known:
            continue
        if other := _other_command(command, known, lines):
            msg = (
                f"{path} is a config of `roadanomaly {other}`, not of `{command}`, which knows no "
                f"`{key}`. Run `roadanomaly {other} {path}`."
            )
            raise OptionError(msg)
        msg = f"`{key}` is not a key of a config; {nearest(key, known)} [{path}:{line}]"
        raise OptionError(msg)


def _lines_of_keys(path: Path) -> dict[str, int]:
    """Return the line of each key."""
    parse = functools.partial(yaml.compose, Loader=yaml.SafeLoader)
    node = parsed_config(path, parse, f"The recipes are in {RECIPES}.")
    if not isinstance(node, yaml.MappingNode):
        msg = f"the config {path} must hold `key: value` lines."
        raise OptionError(msg)
    return {str(key.value): key.start_mark.line + 1 for key, _ in node.value}


def _other_command(command: str, known: Collection[str], keys: Collection[str]) -> str | None:
    """Return the command that knows most of the keys, where that is more than the given one."""
    from roadanomaly.leaderboard.config import Board
    from roadanomaly.leaderboard.plan import COMMANDS, KINDS

    kinds: dict[str, type] = {" ".join(COMMANDS[how]): kind for how, kind in KINDS.items()}
    kinds["leaderboard"] = Board
    told = {
        name: len({one.name for one in fields(kind)} & set(keys)) for name, kind in kinds.items()
    }
    best = max(told, key=told.__getitem__)
    return best if best != command and told[best] > len(set(known) & set(keys)) else None
