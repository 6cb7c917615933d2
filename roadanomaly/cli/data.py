"""`roadanomaly data check`: read a whole data set and say what is wrong with it."""

from __future__ import annotations

import functools
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from jsonargparse import Namespace
from jsonargparse.typing import PositiveInt

from roadanomaly.catalogue import check_types
from roadanomaly.cli.parsing import new_parser, parse
from roadanomaly.data import DATASETS, FrameSet, coco
from roadanomaly.data.benchmark import BenchmarkSet
from roadanomaly.data.check import PROBLEM, check, check_splits
from roadanomaly.data.cutouts import diagnosis
from roadanomaly.data.doctor import diagnose
from roadanomaly.data.handed_round import VERSION
from roadanomaly.data.roadanomaly import PUBLISHED_FRAMES, RoadAnomaly
from roadanomaly.data.roots import below_root
from roadanomaly.errors import DataError, OptionError, UnknownName, nearest
from roadanomaly.negatives.paste import Paste

EXAMPLES = """
roadanomaly data check smiyc-anomaly --root /data
roadanomaly data check laf --root /data/dataset_LostAndFound --split testNoKnown
roadanomaly data check camvid --split train
roadanomaly data check coco --root /data --split val2017
roadanomaly data check cutouts --root coco128seg
roadanomaly data check folder --data.images my/images --data.labels my/masks
"""
CUTOUTS = "cutouts"
"""Any folder that `paste` and `whole_pictures` take objects and pictures from."""

NAMES = (coco.CARD.name, CUTOUTS, *DATASETS)
"""What can be checked: the sets of frames, and what negatives are made of."""


def run(arguments: Sequence[str]) -> None:
    """Check a set; exits with 2 when it is incomplete or has problems."""
    parser = new_parser("data", __doc__ or "", EXAMPLES)
    parser.usage = "roadanomaly data check NAME [--root DIR] [--split NAME] [options]"
    parser.add_argument("action", help="check")
    parser.add_argument("name", help=", ".join(NAMES))
    parser.add_argument("--root", type=str, default=None, help="folder that holds the set or is it")
    parser.add_argument(
        "--split", type=str, default=None, help="default: all that were published, else the first"
    )
    parser.add_argument("--data", type=dict[str, Any], default={}, help="further options")
    parser.add_argument(
        "--limit",
        type=PositiveInt,
        default=None,
        help="frames to read, of camvid, cityscapes and coco of each split; default all",
    )
    given = parse(parser, arguments)
    if given.action != "check":
        msg = f"`data {given.action}` is unknown; there is `data check NAME`."
        raise OptionError(msg)
    about, lines = _checked(given)
    sys.stdout.write("\n".join([*about, *lines]) + "\n")
    problems = sum(line.startswith(PROBLEM) for line in lines)
    if problems:
        msg = f"{problems} problems; each line above says what to do."
        raise DataError(msg)


def _checked(given: Namespace) -> tuple[list[str], list[str]]:
    """Return what is known of a set, and what was found."""
    if given.name == coco.CARD.name:
        return _coco(given)
    if given.name == CUTOUTS:
        return _cutouts(given)
    if given.name not in NAMES:
        msg = f"no data set is called {given.name!r}; {nearest(given.name, NAMES)}"
        raise UnknownName(f"{msg}{_as_folder(given.name)}")
    kind = DATASETS.get(given.name)
    return _benchmark(kind, given) if issubclass(kind, BenchmarkSet) else _plain(kind, given)


def _as_folder(name: str) -> str:
    """Say how a folder of that name is checked; empty where there is none."""
    place = below_root(name)
    if not place.is_dir():
        return ""
    return (
        f". {place} is a folder: `roadanomaly data check {CUTOUTS} --root {name}` checks objects "
        "to paste, and `folder` in place of that name images of your own."
    )


def _coco(given: Namespace) -> tuple[list[str], list[str]]:
    """Return the card and the diagnosis of COCO, which is no set of frames."""
    asked = _asked(given, ("root", "split"), BenchmarkSet)
    return coco.CARD.as_lines(), coco.diagnose(asked["root"], asked["split"], given.limit)


def _cutouts(given: Namespace) -> tuple[list[str], list[str]]:
    """Return the diagnosis of a folder of objects.

    Raises:
        OptionError: no folder is named.
    """
    asked = _asked(given, ("root", "format", "objects", "held_out"), Paste)
    if asked["root"] is None:
        msg = "`cutouts` needs the option `root`: a folder, or the name of one of the data sets."
        raise OptionError(msg)
    asked["layout"] = asked.pop("format", "auto")
    return [], diagnosis.diagnose(**asked, limit=given.limit)


def _asked(given: Namespace, known: Sequence[str], like: type) -> dict[str, Any]:
    """Return root and further options of what is no set of frames, as they were given.

    Args:
        given: the command line.
        known: the options that there are.
        like: a class whose constructor has them all, for their types.

    Raises:
        OptionError: an option that is none of them, or a value of another type.
    """
    asked = {"root": given.root, **given.data}
    if given.split is not None or "split" in known:
        asked = {"split": given.split, **asked}
    for option in asked:
        if option not in known:
            msg = f"`{option}` is not an option of `{given.name}`; {nearest(option, known)}"
            raise OptionError(msg)
    check_types(like, asked, f"the data set `{given.name}`")
    return asked


def _benchmark(kind: type[BenchmarkSet], given: Namespace) -> tuple[list[str], list[str]]:
    """Return the card and the diagnosis of a benchmark's set."""
    options = dict(given.data)
    DATASETS.check_options(kind.card.name, options)
    DATASETS.check_types(kind.card.name, options)
    root, split = options.pop("root", given.root), options.pop("split", given.split)
    found = diagnose(kind, root, split=split, limit=given.limit, options=options)
    return kind.card.as_lines(), list(found.lines)


def _plain(kind: type[FrameSet], given: Namespace) -> tuple[list[str], list[str]]:
    """Return origin and faults of a set that has no card."""
    named = {key: value for key, value in (("root", given.root), ("split", given.split)) if value}
    asked = {"name": given.name, **named, **given.data}
    about = [f"{given.name}: {kind.source}", f"licence: {kind.licence}"]
    if kind.published:
        splits = [asked["split"]] if "split" in asked else kind.published
        counts = {split: kind.published.get(split) for split in splits}
        opened = functools.partial(_opened, asked)
        return about, check_splits(counts, opened, given.limit)
    frames = DATASETS.from_spec(asked)
    lines = [f"version: {VERSION}"] if isinstance(frames, RoadAnomaly) and frames.copied else []
    lines += check(frames, given.limit)
    if isinstance(frames, RoadAnomaly) and len(frames) != PUBLISHED_FRAMES:
        lines.append(
            f"{PROBLEM}{len(frames)} of the {PUBLISHED_FRAMES} published frames are here; numbers "
            "on a part are not comparable. Download it again: EPFL CVLab, Road Anomaly."
        )
    return about, lines


def _opened(asked: Mapping[str, Any], split: str) -> FrameSet:
    return DATASETS.from_spec({**asked, "split": split})
