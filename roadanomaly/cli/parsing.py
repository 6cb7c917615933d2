"""Strict parsing that the commands share: config files with overrides, and helpful refusals."""

from __future__ import annotations

import re
from argparse import Action, ArgumentError, RawDescriptionHelpFormatter
from collections.abc import Sequence
from typing import Any

from jsonargparse import ArgumentParser, Namespace
from jsonargparse import DefaultHelpFormatter as Plain

from roadanomaly.catalogue import MOST, check_whole_numbers
from roadanomaly.errors import OptionError, nearest

DEVICES = "cpu, cuda, cuda:1 or auto"
"""What `--device` takes, for its help."""

LONGEST_SIDE, MOST_PIXELS = 2**15, 2**28
"""Larger frames no decoder scales, and no memory holds."""

WHOLE = {"NonNegativeInt": "0 or more", "PositiveInt": "1 or more"}
"""Types of whole numbers, and which of them they take."""


class _Formatter(Plain, RawDescriptionHelpFormatter):
    """Keeps the line breaks of the examples."""


def new_parser(command: str, description: str, examples: str) -> ArgumentParser:
    """Return a parser whose `--help` ends with examples."""
    return ArgumentParser(
        prog=f"roadanomaly {command}",
        description=description,
        epilog="examples:\n" + "\n".join(f"  {line}" for line in examples.strip().splitlines()),
        formatter_class=_Formatter,
        exit_on_error=False,
    )


def parse(parser: ArgumentParser, arguments: Sequence[str]) -> Namespace:
    """Parse, or refuse with the nearest known option.

    Raises:
        OptionError: an unknown option, a value of the wrong type, an empty one (of a shell
            variable that is not set), a seed that no generator takes, or a whole number beyond
            64 bits.
    """
    arguments = _with_sizes_joined(arguments)
    known = [flag for action in parser._actions for flag in action.option_strings]
    for word in arguments:
        flag = word.split("=", 1)[0]
        if flag.startswith("--") and flag.split(".")[0] not in known:
            msg = f"`{flag}` is not an option; {nearest(flag, known)}"
            raise OptionError(msg)
    try:
        given = parser.parse_args(arguments)
    except ArgumentError as error:
        raise OptionError(_refusal(parser, error)) from error
    for action in parser._actions:
        _check_value(action, given.get(action.dest))
    return given


def add_size(parser: ArgumentParser, text: str, default: tuple[int, int] | None = None) -> None:
    """Add `--size HEIGHT WIDTH`, which config files write as `size: [HEIGHT, WIDTH]`."""
    told = f"{text}, as 720 960"
    parser.add_argument("--size", type=tuple[int, int], default=default, help=told)


def _with_sizes_joined(arguments: Sequence[str]) -> list[str]:
    """Write `--size 720 960` as `--size [720,960]`, one word whatever follows."""
    words = list(arguments)
    places = [place for place, word in enumerate(words) if word == "--size"]
    for place in reversed(places):
        sides = words[place + 1 : place + 3]
        if len(sides) == 2 and all(side.isdecimal() for side in sides):
            words[place + 1 : place + 3] = [f"[{sides[0]},{sides[1]}]"]
    return words


def _refusal(parser: ArgumentParser, error: ArgumentError) -> str:
    if not hasattr(error, "message"):
        return str(error)
    lacking = re.search(r"arguments are required: (.+)", error.message)
    if lacking is None:
        return f"{_in_a_line(error.message).rstrip('.')}. See --help."
    names = lacking[1].split(", ")
    wanted = [one for one in parser._actions if one.dest in names]
    told = [
        f"`{(one.option_strings or [one.dest.upper()])[-1]}` ({str(one.help).rstrip('.')})"
        for one in wanted
    ]
    return f"{' and '.join(told or names)} must be given. --help has examples."


def _in_a_line(message: str) -> str:
    """Return what the parser says of a value that is of none of the types it takes, in a line."""
    known = "|".join(WHOLE)
    whole = re.search(rf'key "(.+?)":.*?Not of type ({known}): ([^\n]+)', message, re.DOTALL)
    if whole:
        key, kind, why = whole.groups()
        among_others = re.search(r"Given value: (.*)", message)
        value = among_others or re.search(r"(^\S+(?= (?:does )?not )|(?<=: ').*(?='$))", why)
        told = f" is {value[1]}; it" if value else ""
        return f"`--{key}`{told} takes a whole number, {WHOLE[kind]}."
    found = re.search(r'key "(.+?)":.*(?:Given value|Got value): (.*)', message, re.DOTALL)
    types = re.findall(r"Expected an? (.+?)(?=\. Got value|\n|$)", message)
    if not (found and types):
        return " ".join(message.split())
    takes = " or ".join(re.sub(r"<class '(.+?)'>|typing\.", r"\1", one) for one in types)
    if found[1] == "size":
        takes = "a height and a width, as --size 720 960"
    takes = re.sub(r"Literal\[(.+?)\]", lambda one: one[1].replace("'", ""), takes)
    return f"`--{found[1]}` is {found[2].strip()}; it takes {takes.replace('NoneType', 'null')}."


def _check_value(action: Action, value: Any) -> None:
    """Refuse empty words, and numbers that nothing takes; seeds, which not all take alike."""
    name = (action.option_strings or [action.dest])[0]
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, str) and not one.strip() and one != action.default:
            msg = (
                f"`{name}` is empty: {one!r}; give it a value, or leave it out. Is a variable of "
                "the shell not set?"
            )
            raise OptionError(msg)
    if action.dest == "seed" and isinstance(value, int) and not 0 <= value <= MOST:
        msg = f"`--seed` is {value}; give a whole number from 0 to 2^63 - 1."
        raise OptionError(msg)
    check_whole_numbers(value, f"`{name}`")


def frame_size(text: str, order: str = "HxW") -> tuple[int, int]:
    """Read a size as `(height, width)`.

    Args:
        text: two numbers with an `x` between them.
        order: `HxW` or `WxH`.

    Raises:
        OptionError: not such a text, a side of less than 32 or more than 32,768 pixels, or more
            than 2^28 pixels in all.
    """
    parts = text.lower().replace("×", "x").split("x")
    fits = [part.isdecimal() and 32 <= int(part) <= LONGEST_SIDE for part in parts]
    if len(parts) != 2 or not all(fits) or int(parts[0]) * int(parts[1]) > MOST_PIXELS:
        example = "512x1024" if order == "HxW" else "1024x512"
        msg = (
            f"--size {text}: give {order} with sides of at least 32 pixels, and at most "
            f"{LONGEST_SIDE}, {MOST_PIXELS / 1e6:.0f} million pixels in all, as {example}."
        )
        raise OptionError(msg)
    first, second = map(int, parts)
    return (first, second) if order == "HxW" else (second, first)
