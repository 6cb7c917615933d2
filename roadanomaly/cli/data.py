"""`roadanomaly data check`: read a whole data set and say what is wrong with it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from roadanomaly.cli.parsing import new_parser, parse
from roadanomaly.data import DATASETS
from roadanomaly.data.check import PROBLEM, check
from roadanomaly.errors import DataError, OptionError
from roadanomaly.model import build_part

EXAMPLES = """
roadanomaly data check camvid --split train
roadanomaly data check roadanomaly --root /data/roadanomaly
roadanomaly data check folder --data.images my/images --data.labels my/masks
"""


def run(arguments: Sequence[str]) -> None:
    """Check a set; exits with 2 when it has problems."""
    parser = new_parser("data", __doc__ or "", EXAMPLES)
    parser.usage = "roadanomaly data check NAME [--root DIR] [--split NAME] [options]"
    parser.add_argument("action", help="check")
    parser.add_argument("name", help=", ".join(DATASETS))
    parser.add_argument("--root", type=str, default=None, help="folder of the set")
    parser.add_argument("--split", type=str, default=None, help="default: the set's first")
    parser.add_argument("--data", type=dict[str, Any], default={}, help="further options")
    parser.add_argument("--limit", type=int, default=None, help="frames to read; default all")
    given = parse(parser, arguments)
    if given.action != "check":
        msg = f"`data {given.action}` is unknown; there is `data check NAME`."
        raise OptionError(msg)
    options = {key: getattr(given, key) for key in ("root", "split") if getattr(given, key)}
    frames = build_part(DATASETS, {"name": given.name, **options, **given.data})
    lines = check(frames, given.limit)
    sys.stdout.write(f"{given.name}: {type(frames).source}\nlicence: {type(frames).licence}\n")
    sys.stdout.write("\n".join(lines) + "\n")
    problems = sum(line.startswith(PROBLEM) for line in lines)
    if problems:
        msg = f"{problems} problems; each line above says what to do."
        raise DataError(msg)
