"""What a folder holds that objects are cut out of, and which of its files are missing or broken."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from roadanomaly.data.check import PROBLEM
from roadanomaly.data.cutouts import read_cutouts
from roadanomaly.data.cutouts.base import LOST, CutoutReader, Entry
from roadanomaly.data.cutouts.names import ROAD_CLASSES
from roadanomaly.data.images import list_images, read_image
from roadanomaly.data.parts import check_part, in_part
from roadanomaly.data.roots import find_set
from roadanomaly.errors import UserError


def diagnose(
    root: str,
    layout: str = "auto",
    objects: str = "components",
    held_out: float = 0.2,
    limit: int | None = None,
) -> list[str]:
    """Count pictures, labels and cut-outs of a folder, and say what is missing and left out.

    Args:
        root: the folder, or the name of one below the root of the data sets.
        layout: its format, as `open_cutouts` takes it.
        objects: of index masks, as `open_cutouts` takes it.
        held_out: share of the pictures in the part `held_out`.
        limit: decode at most so many pictures, spread over them; None decodes all.

    Returns:
        the report; problems begin with `PROBLEM`.

    Raises:
        DataError: the folder is not there, looks like no format, or holds no object.
        OptionError: no such format or kind of objects, or a share outside 0..1.
    """
    check_part("all", held_out)
    place = find_set(root)
    reader = read_cutouts(place, layout, objects)
    lost, others = reader.left_out(LOST), reader.left_out(reader.skipped.keys() - LOST)
    return [
        f"found: {place.absolute()}, read as {reader.format}",
        f"pictures: {reader.images} with labels, of {len(_pictures(reader))} in the folder",
        *([f"{PROBLEM}{lost}. Get the files again, or remove what names them."] if lost else []),
        f"left out: {others or 'nothing'}",
        f"cut-outs: {taken(reader)}",
        *(_part(reader.entries, part, held_out) for part in ("train", "held_out")),
        *decoded("pictures with cut-outs", sorted(_shown(reader.entries)), limit),
    ]


def taken(reader: CutoutReader) -> str:
    """Say how many objects the negative sources find, of how many classes and pictures."""
    shown = _shown(reader.entries)
    usual = sum(entry.category in ROAD_CLASSES for entry in reader.entries)
    foreign = sum(
        not (classes | reader.crowds.get(path, set())) & ROAD_CLASSES
        for path, classes in shown.items()
    )
    return (
        f"{len(reader.entries)} of {len(set().union(*shown.values()))} classes in {len(shown)} "
        f"pictures; {usual} are of classes that roads have, which `paste` leaves out; {foreign} "
        "pictures show no such class, as `whole_pictures` wants"
    )


def decoded(what: str, pictures: Sequence[Path], limit: int | None) -> list[str]:
    """Read pictures; a broken one never stops it.

    Args:
        what: they are, for the summary.
        pictures: in their order.
        limit: read at most so many, spread over them; None reads all.

    Returns:
        one line a broken picture, and how many were read.
    """
    count = len(pictures) if limit is None else min(limit, len(pictures))
    places: Iterable[int] = np.linspace(0, len(pictures) - 1, count).round().astype(int).tolist()
    problems = []
    for place in places:
        try:
            read_image(pictures[place])
        except (UserError, OSError) as error:
            problems.append(PROBLEM + " ".join(str(error).split()))
    return [*problems, f"{what}: {count} read of {len(pictures)}, {len(problems)} with problems"]


def _part(entries: Iterable[Entry], part: str, held_out: float) -> str:
    """Return how much of a set a part holds, before a source leaves anything out."""
    inside = [one for one in entries if in_part(one.image.stem, part, held_out)]
    return f"part {part}: {len(inside)} cut-outs in {len(_shown(inside))} pictures"


def _shown(entries: Iterable[Entry]) -> dict[Path, set[str]]:
    """Return the classes that each picture shows."""
    shown: dict[Path, set[str]] = {}
    for entry in entries:
        shown.setdefault(entry.image, set()).add(entry.category)
    return shown


def _pictures(reader: CutoutReader) -> set[Path]:
    """Return the pictures of a folder, and those elsewhere that its labels belong to."""
    inside = list_images(reader.root, recursive=True)
    pictures = [one for one in inside if "annotations" not in one.relative_to(reader.root).parts]
    return {one.resolve() for one in (*pictures, *(entry.image for entry in reader.entries))}
