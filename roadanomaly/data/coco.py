"""COCO 2017, whose objects and pictures serve as negatives: what it is, and whether it is whole.

It is no set of frames: `paste` and `whole_pictures` read it as cut-outs, `coco_scenes` its outdoor
pictures as scenes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from roadanomaly.data.cards import Card, Split, find_top
from roadanomaly.data.check import PROBLEM
from roadanomaly.data.cutouts import guess
from roadanomaly.data.cutouts.coco import CocoCutouts
from roadanomaly.data.cutouts.coco_files import find_image, read_annotations
from roadanomaly.data.cutouts.diagnosis import decoded, taken
from roadanomaly.data.images import list_images
from roadanomaly.data.roots import shorten
from roadanomaly.errors import DataError, OptionError, nearest

SHOWN = 8
"""How many names a line gives before it says how many more there are."""

CARD = Card(
    name="coco",
    source="COCO 2017, 118287 + 5000 pictures with 860001 + 36781 objects of 80 classes; Lin et "
    "al., Microsoft COCO: Common Objects in Context, ECCV 2014, arXiv 1405.0312",
    licence="annotations CC BY 4.0; pictures: Flickr, each its own, by its number in the file",
    where="images.cocodataset.org/zips/train2017.zip, .../zips/val2017.zip and "
    ".../annotations/annotations_trainval2017.zip",
    layout="train2017/*.jpg, val2017/*.jpg, annotations/instances_<train2017|val2017>.json",
    coding="category ids 1 to 90, of which 80 are classes; polygons, and run lengths of crowds",
    tops=("coco", "COCO", "coco2017"),
    markers=("train2017", "val2017", "images/train2017", "images/val2017"),
    splits={
        "train2017": Split(118_287, rule="train2017/"),
        "val2017": Split(5_000, rule="val2017/"),
    },
    default="train2017",
    ids=frozenset(range(1, 91)),
    sums=("123287 pictures = 118287 train2017 + 5000 val2017",),
)

ANNOTATIONS = {"train2017": 860_001, "val2017": 36_781}
"""Objects that each split's file lists as published."""


@dataclass(frozen=True)
class _Listed:
    """What one annotation file lists, compared with the disk.

    Args:
        path: of the file.
        pictures: that it names and that are on the disk.
        missing: names of those that are not.
        alone: annotations of a picture that is missing or that the file does not name.
        annotations: all of them.
    """

    path: Path
    pictures: frozenset[Path]
    missing: tuple[str, ...]
    alone: int
    annotations: int


def diagnose(
    root: str | Path | None = None, split: str | None = None, limit: int | None = None
) -> list[str]:
    """Count pictures and annotations of COCO, and say what is missing and what is left out.

    Args:
        root: the folder that holds the set's top folder or is it; None looks where `find_top` says.
        split: `train2017` or `val2017`; None takes both.
        limit: decode at most so many pictures of a split, spread over it; None decodes all.

    Returns:
        the report; problems begin with `PROBLEM`.

    Raises:
        DataError: the folder is absent or has another layout.
        OptionError: no such split.
    """
    if split is not None and split not in CARD.splits:
        msg = f"`split` of {CARD.name} is {split!r}; {nearest(split, CARD.splits)}"
        raise OptionError(msg)
    top = _top(root)
    lines = [f"found: {top.absolute()}"]
    for name in [split] if split else CARD.splits:
        lines += _split(top, name, limit)
    if any(line.startswith(PROBLEM) for line in lines):
        lines += [f"where to get the rest: {CARD.where}", f"layout: {CARD.tops[0]}/: {CARD.layout}"]
    return lines


def _top(root: str | Path | None) -> Path:
    """Return the set's top folder.

    Raises:
        DataError: it is absent, or holds objects in another form than COCO's own.
    """
    instead = "Other folders of objects are checked by `roadanomaly data check cutouts --root"
    try:
        top = find_top(CARD, root)
    except DataError as error:
        raise DataError(f"{str(error).rstrip('.')}. {instead} DIR`.") from error
    listed = any(_annotations(top, name).is_file() for name in CARD.splits)
    if not listed and (layout := _format(top)):
        msg = (
            f"{top.absolute()} is not COCO as it was published: it has no annotations/instances_<"
            f"{'|'.join(CARD.splits)}>.json, but labels in the format {layout}. {instead} {top}`."
        )
        raise DataError(msg)
    return top


def _format(top: Path) -> str:
    """Return the format of cut-outs that a folder looks like; empty where it looks like none."""
    try:
        return guess(top)
    except DataError:
        return ""


def _annotations(top: Path, name: str) -> Path:
    return top / "annotations" / f"instances_{name}.json"


def _split(top: Path, name: str, limit: int | None) -> list[str]:
    """Return the report of one split."""
    places = [place for place in (top / name, top / "images" / name) if place.is_dir()]
    pictures = [path for place in places for path in list_images(place)]
    path = _annotations(top, name)
    try:
        listed = _compare(top, path)
    except DataError as error:
        counted = f"split {name}: {len(pictures)} of {CARD.splits[name].frames} pictures"
        return [counted, f"{PROBLEM}{error}"]
    lines = [
        f"split {name}: {len(pictures)} of {CARD.splits[name].frames} pictures, "
        f"{listed.annotations} of {ANNOTATIONS[name]} annotations"
    ]
    lines += _faults(name, pictures, listed)
    lines += _taken(top, name, listed)
    return lines + decoded(f"pictures of {name}", sorted(listed.pictures), limit)


def _compare(top: Path, path: Path) -> _Listed:
    """Compare a file with the disk.

    Raises:
        DataError: it is missing or no COCO file.
    """
    content = read_annotations(path)
    found = {record["id"]: find_image(top, path, record) for record in content["images"]}
    there = {number for number, picture in found.items() if picture is not None}
    names = {record["id"]: _name(record) for record in content["images"]}
    pictures = (_picture(note) for note in content["annotations"])
    return _Listed(
        path,
        frozenset(picture for picture in found.values() if picture is not None),
        tuple(sorted(names[number] for number in found.keys() - there)),
        sum(number not in there for number in pictures),
        len(content["annotations"]),
    )


def _name(record: Any) -> str:
    return str(record.get("file_name") or record["id"])


def _picture(note: Any) -> Any:
    """Return the number of an annotation's picture; None of one that is malformed."""
    number = note.get("image_id") if isinstance(note, dict) else None
    return number if isinstance(number, (int, str)) else None


def _faults(name: str, pictures: Sequence[Path], listed: _Listed) -> list[str]:
    """Say what differs from what was published, and between file and disk."""
    faults = []
    for what, here, published in (
        ("pictures", len(pictures), CARD.splits[name].frames or 0),
        ("annotations", listed.annotations, ANNOTATIONS[name]),
    ):
        if here != published:
            word = "missing" if here < published else "too many"
            faults.append(
                f"the split {name} has {here} {what}, not {published}: {abs(here - published)} "
                f"{word}."
            )
    faults += _named(f"pictures that {listed.path.name} lists are not there", listed.missing)
    if listed.alone:
        faults.append(f"{listed.alone} annotations of {listed.path.name} have no picture.")
    unlisted = sorted(path.name for path in pictures if path not in listed.pictures)
    faults += _named(f"pictures are not listed in {listed.path.name}", unlisted)
    return [PROBLEM + one for one in faults]


def _named(what: str, names: Sequence[str]) -> list[str]:
    return [f"{len(names)} {what}: {shorten(names, SHOWN)}."] if names else []


def _taken(top: Path, name: str, listed: _Listed) -> list[str]:
    """Say what is left out, and what the negative sources find."""
    try:
        reader = CocoCutouts(top, [listed.path])
    except DataError as error:
        return [f"{PROBLEM}{error}"]
    return [
        f"left out of {name}: {reader.left_out() or 'nothing'}",
        f"objects of {name}: {taken(reader)}",
    ]
