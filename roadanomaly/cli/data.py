"""`roadanomaly data check`: read a whole data set and say what is wrong with it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from jsonargparse import Namespace
from jsonargparse.typing import PositiveInt

from roadanomaly.catalogue import check_types
from roadanomaly.cli.parsing import new_parser, parse
from roadanomaly.data import DATASETS, coco
from roadanomaly.data.benchmark import BenchmarkSet
from roadanomaly.data.check import PROBLEM, check
from roadanomaly.data.doctor import diagnose
from roadanomaly.data.handed_round import VERSION
from roadanomaly.data.roadanomaly import PUBLISHED_FRAMES, RoadAnomaly
from roadanomaly.errors import DataError, OptionError, nearest

EXAMPLES = """
roadanomaly data check smiyc-anomaly --root /data
roadanomaly data check laf --root /data/dataset_LostAndFound --split testNoKnown
roadanomaly data check camvid --split train
roadanomaly data check coco --root /data --split val2017
roadanomaly data check folder --data.images my/images --data.labels my/masks
"""


def run(arguments: Sequence[str]) -> None:
    """Check a set; exits with 2 when it is incomplete or has problems."""
    parser = new_parser("data", __doc__ or "", EXAMPLES)
    parser.usage = "roadanomaly data check NAME [--root DIR] [--split NAME] [options]"
    parser.add_argument("action", help="check")
    parser.add_argument("name", help=", ".join([coco.CARD.name, *DATASETS]))
    parser.add_argument("--root", type=str, default=None, help="folder that holds the set or is it")
    parser.add_argument(
        "--split", type=str, default=None, help="default: all of a benchmark's, else the first"
    )
    parser.add_argument("--data", type=dict[str, Any], default={}, help="further options")
    parser.add_argument(
        "--limit", type=PositiveInt, default=None, help="frames to read; default all"
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
    kind = DATASETS.get(given.name)
    return _benchmark(kind, given) if issubclass(kind, BenchmarkSet) else _plain(given)


def _coco(given: Namespace) -> tuple[list[str], list[str]]:
    """Return the card and the diagnosis of COCO, which is no set of frames.

    Raises:
        OptionError: an option that it lacks, or a value of a type that no benchmark's set takes.
    """
    asked = {"root": given.root, "split": given.split, **given.data}
    for option in asked:
        if option not in ("root", "split"):
            msg = f"`{option}` is not an option of `coco`; {nearest(option, ('root', 'split'))}"
            raise OptionError(msg)
    check_types(BenchmarkSet, asked, "the data set `coco`")
    return coco.CARD.as_lines(), coco.diagnose(asked["root"], asked["split"], given.limit)


def _benchmark(kind: type[BenchmarkSet], given: Namespace) -> tuple[list[str], list[str]]:
    """Return the card and the diagnosis of a benchmark's set."""
    options = dict(given.data)
    DATASETS.check_options(kind.card.name, options)
    DATASETS.check_types(kind.card.name, options)
    root, split = options.pop("root", given.root), options.pop("split", given.split)
    found = diagnose(kind, root, split=split, limit=given.limit, options=options)
    return kind.card.as_lines(), list(found.lines)


def _plain(given: Namespace) -> tuple[list[str], list[str]]:
    """Return origin and faults of a set that has no card."""
    asked = {key: value for key, value in (("root", given.root), ("split", given.split)) if value}
    frames = DATASETS.from_spec({"name": given.name, **asked, **given.data})
    lines = [f"version: {VERSION}"] if isinstance(frames, RoadAnomaly) and frames.copied else []
    lines += check(frames, given.limit)
    if isinstance(frames, RoadAnomaly) and len(frames) != PUBLISHED_FRAMES:
        lines.append(
            f"{PROBLEM}{len(frames)} of the {PUBLISHED_FRAMES} published frames are here; numbers "
            "on a part are not comparable. Download it again: EPFL CVLab, Road Anomaly."
        )
    return [f"{given.name}: {type(frames).source}", f"licence: {type(frames).licence}"], lines
