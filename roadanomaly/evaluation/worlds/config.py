"""From a config file to worlds: read, checked, and opened."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import yaml

from roadanomaly.catalogue import check_types
from roadanomaly.config_text import parsed_config
from roadanomaly.data import DATASETS, FrameSet
from roadanomaly.data.derived import Resized
from roadanomaly.data.subset import Subset
from roadanomaly.errors import DataError, OptionError, UnknownName, UserError, nearest
from roadanomaly.evaluation.worlds.world import World, WorldOptions
from roadanomaly.files import file_name
from roadanomaly.negatives import NEGATIVES
from roadanomaly.negatives.mixed import MixedFrames


def read_worlds(path: str | Path) -> dict[str, dict[str, Any]]:
    """Read a config: the name of each world, and its options.

    Raises:
        OptionError: no such file, no mapping, or a world with a key that does not exist; names
            the world and the nearest key.
    """
    held = parsed_config(Path(path), yaml.safe_load, "Name a file of worlds.")
    if not isinstance(held, dict) or not held:
        msg = f"the config {path} must hold a mapping: the name of each world, and its options."
        raise OptionError(msg)
    for name, options in held.items():
        if not isinstance(name, str) or file_name(name) != name:
            msg = f"the world {name!r} of {path} needs a name of letters, digits, _ and -."
            raise OptionError(msg)
        check_world(name, options)
    return held


def check_world(name: str, options: Any) -> WorldOptions:
    """Return what a config says of a world, typed.

    Raises:
        OptionError: a key that does not exist, one that is missing, or a value out of range.
    """
    what = f"the world `{name}`"
    if not isinstance(options, Mapping):
        msg = f"{what} is {options!r}; it must be a mapping such as {{data: {{name: camvid}}}}."
        raise OptionError(msg)
    known = [one.name for one in fields(WorldOptions)]
    for key in options:
        if key not in known:
            msg = f"{what} has the key `{key}`, which no world has; {nearest(str(key), known)}"
            raise OptionError(msg)
    for one in fields(WorldOptions):
        if one.default is MISSING and one.name not in options:
            msg = f"{what} lacks the key `{one.name}`: a data set, such as {{name: camvid}}."
            raise OptionError(msg)
    check_types(WorldOptions, options, what)
    size = options.get("size")
    given = WorldOptions(**{**options, "size": size and tuple(size)})
    if given.frames < 0 or (given.size and min(given.size) < 32):
        msg = f"{what}: `frames` is a number from 0, and `size` [height, width] from 32 each."
        raise OptionError(msg)
    return given


def open_world(name: str, options: Mapping[str, Any]) -> World:
    """Open a world's data set.

    Raises:
        OptionError: an option that does not exist, or out of range, or `others` where `frames`
            leaves none.
        DataError: the files of the set are not there or not usable.
        UnknownName: no data set is called so.
    """
    given = check_world(name, options)
    frames: FrameSet = DATASETS.from_spec(given.data)
    frames = Subset(frames, given.frames, others=given.others)
    if not len(frames):
        msg = (
            f"the world `{name}` has `others: true` and `frames: {given.frames}`, which leaves no "
            "frame out; give fewer `frames` than its set has, from 1."
        )
        raise OptionError(msg)
    if given.size:
        frames = Resized(frames, given.size)
    if given.negatives:
        frames = MixedFrames(frames, NEGATIVES.from_spec(given.negatives))
    return World(name, frames, dict(options))


def open_worlds(
    path: str | Path, only: Collection[str] = (), *, lenient: bool = False
) -> tuple[list[World], dict[str, str]]:
    """Open the worlds of a config.

    Args:
        path: of the config.
        only: names of those that are wanted; empty for all.
        lenient: leave out each world whose set is not there, whatever the config says of it.

    Returns:
        the worlds; and why each was left out that may be left out.

    Raises:
        OptionError: a name that the config lacks, or as `read_worlds`.
        UserError: a world that cannot be opened and may not be left out, or none is left.
    """
    held = read_worlds(path)
    for name in only:
        if name not in held:
            msg = f"{path} describes no world {name!r}; {nearest(name, held)}"
            raise OptionError(msg)
    worlds, skipped = [], {}
    for name, options in held.items():
        if only and name not in only:
            continue
        try:
            worlds.append(open_world(name, options))
        except (DataError, UnknownName) as error:
            if not lenient and options.get("missing") != "skip":
                msg = (
                    f"the world `{name}` of {path}: {error} Without that set, name the others by "
                    "`--only`, or say `missing: skip` there."
                )
                raise type(error)(msg) from error
            skipped[name] = str(error)
    if not worlds:
        msg = f"no world of {path} is left: {'; '.join(skipped.values())}"
        raise UserError(msg)
    return worlds, skipped
