"""`roadanomaly data check`: read a whole data set and say what is wrong with it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from jsonargparse.typing import PositiveInt

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
    about, lines = _checked(given.name, given.root, given.split, given.data, given.limit)
    sys.stdout.write("\n".join([*about, *lines]) + "\n")
    problems = sum(line.startswith(PROBLEM) for line in lines)
    if problems:
        msg = f"{problems} problems; each line above says what to do."
        raise DataError(msg)


def _checked(
    name: str,
    root: str | None,
    split: str | None,
    options: dict[str, Any],
    limit: int | None,
) -> tuple[list[str], list[str]]:
    """Return what is known of a set, and what was found."""
    if name == coco.CARD.name:
        return _coco(root, split, options, limit)
    kind = DATASETS.get(name)
    if issubclass(kind, BenchmarkSet):
        return _benchmark(kind, root, split, options, limit)
    return _plain(name, root, split, options, limit)


def _coco(
    root: str | None, split: str | None, options: dict[str, Any], limit: int | None
) -> tuple[list[str], list[str]]:
    """Return the card and the diagnosis of COCO, which is no set of frames.

    Raises:
        OptionError: an option that it lacks.
    """
    given = {"root": root, "split": split, **options}
    for option in given:
        if option not in ("root", "split"):
            msg = f"`{option}` is not an option of `coco`; {nearest(option, ('root', 'split'))}"
            raise OptionError(msg)
    return coco.CARD.as_lines(), coco.diagnose(given["root"], given["split"], limit)


def _benchmark(
    kind: type[BenchmarkSet],
    root: str | None,
    split: str | None,
    options: dict[str, Any],
    limit: int | None,
) -> tuple[list[str], list[str]]:
    """Return the card and the diagnosis of a benchmark's set."""
    DATASETS.check_options(kind.card.name, options)
    root, split = options.pop("root", root), options.pop("split", split)
    found = diagnose(kind, root, split=split, limit=limit, options=options)
    return kind.card.as_lines(), list(found.lines)


def _plain(
    name: str,
    root: str | None,
    split: str | None,
    options: dict[str, Any],
    limit: int | None,
) -> tuple[list[str], list[str]]:
    """Return origin and faults of a set that has no card."""
    given = {key: value for key, value in (("root", root), ("split", split)) if value}
    frames = DATASETS.from_spec({"name": name, **given, **options})
    lines = [f"version: {VERSION}"] if isinstance(frames, RoadAnomaly) and frames.copied else []
    lines += check(frames, limit)
    if isinstance(frames, RoadAnomaly) and len(frames) != PUBLISHED_FRAMES:
        lines.append(
            f"{PROBLEM}{len(frames)} of the {PUBLISHED_FRAMES} published frames are here; numbers "
            "on a part are not comparable. Download it again: EPFL CVLab, Road Anomaly."
        )
    return [f"{name}: {type(frames).source}", f"licence: {type(frames).licence}"], lines
