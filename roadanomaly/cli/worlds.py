"""`roadanomaly worlds`: score models on held-out worlds, and rank them over all of these."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from pathlib import Path

from jsonargparse import Namespace

from roadanomaly.cli.models import label_of, pick_device, unused
from roadanomaly.cli.parsing import DEVICES, new_parser, parse
from roadanomaly.cli.which_model import add_model, the_model
from roadanomaly.cli.worlds_scored import CONFIG, FILES, Entry, score_and_write
from roadanomaly.errors import OptionError
from roadanomaly.evaluation.worlds import (
    World,
    choose_thresholds,
    open_worlds,
    require_ordinary,
)
from roadanomaly.evaluation.worlds.kept import FOLDER
from roadanomaly.ledger import Ledger
from roadanomaly.locks import holding
from roadanomaly.model import load
from roadanomaly.progress import counting
from roadanomaly.report.tables.worlds import choices_text

EXAMPLES = """
roadanomaly worlds
roadanomaly worlds runs/densehybrid_espnetv2_camvid
roadanomaly worlds runs/a runs/b runs/c --out runs/worlds
roadanomaly worlds runs/a --config my_worlds.yaml --only streets_301,streets_302
roadanomaly worlds runs/a --alarms 0.1,0.3,1
"""


def run(arguments: Sequence[str]) -> None:
    """Score, rank, write and print."""
    parser = new_parser("worlds", __doc__ or "", EXAMPLES)
    parser.usage = "roadanomaly worlds [RUN ...] [--model NAME|FOLDER] [--config FILE] [options]"
    add = parser.add_argument
    add("runs", nargs="*", help="folders of trained or fitted models")
    add_model(parser)
    add("--config", type=str, default="", help="YAML file of worlds; else the package's own")
    add("--only", type=str, default="", help="only these worlds, comma-separated")
    add(
        "--alarms",
        type=str,
        default="",
        help="also find the thresholds of one model that leave so many false objects a frame",
    )
    add("--out", type=str, default="runs/worlds", help="folder to write into")
    add("--device", type=str, default="auto", help=DEVICES)
    given = parse(parser, arguments)
    wanted = _wanted(given)
    out = Path(given.out)
    with holding(out, ["worlds", *arguments]):
        Ledger(out).claim([*FILES, f"{FOLDER}/"])
        worlds, skipped = open_worlds(
            given.config or CONFIG, [one for one in given.only.split(",") if one]
        )
        if wanted:
            require_ordinary(worlds)
        _score(given, worlds, skipped, out)
        if wanted:
            _choose(given, worlds, wanted)


def _score(given: Namespace, worlds: Sequence[World], skipped: dict[str, str], out: Path) -> None:
    text = score_and_write(_load(given), worlds, skipped, out, given.as_dict())
    sys.stdout.write(f"{text}\nwritten to {out}: {', '.join(FILES)}\n")


def _named(given: Namespace) -> list[str]:
    """Return the models that were named; the default where none was."""
    return [*given.runs, *([given.model] if given.model else [])] or [the_model(None, None)]


def _wanted(given: Namespace) -> list[float]:
    """Read the false objects a frame that `--alarms` asks for; empty where it does not.

    Raises:
        OptionError: several models, or no positive numbers.
    """
    if not given.alarms:
        return []
    if len(_named(given)) > 1:
        msg = f"--alarms looks for thresholds of one model, and {len(_named(given))} were named."
        raise OptionError(msg)
    try:
        found = [float(one) for one in given.alarms.split(",")]
    except ValueError:
        found = [0.0]
    if not all(0 < one < math.inf for one in found):
        msg = f"--alarms {given.alarms}: give numbers of false objects a frame, as 0.1,0.3,1."
        raise OptionError(msg)
    return found


def _choose(given: Namespace, worlds: Sequence[World], wanted: Sequence[float]) -> None:
    """Print the thresholds that leave the wanted false objects, and what they find."""
    (entry,) = _load(given)
    total = sum(len(world.frames) for world in worlds)
    with counting(total, "false objects") as step:
        choices = choose_thresholds(entry.model, worlds, wanted, step)
    sys.stdout.write(f"\n{choices_text(choices)}")


def _load(given: Namespace) -> list[Entry]:
    """Load the models; those of one name get numbers."""
    device = pick_device(given.device)
    entries: list[Entry] = []
    for one in _named(given):
        name = unused(label_of(one), [entry.name for entry in entries])
        entries.append(Entry(name, one, load(one, device)))
    return entries
