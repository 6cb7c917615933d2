"""`roadanomaly worlds`: score models on held-out worlds, and rank them over all of these."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jsonargparse import Namespace

from roadanomaly.cli.models import label_of, pick_device, unused
from roadanomaly.cli.parsing import DEVICES, new_parser, parse
from roadanomaly.cli.recipes import RECIPES
from roadanomaly.cli.which_model import add_model, the_model
from roadanomaly.errors import OptionError
from roadanomaly.evaluation.folder import without_nan
from roadanomaly.evaluation.worlds import (
    World,
    WorldResult,
    choose_thresholds,
    open_worlds,
    require_ordinary,
    score_together,
)
from roadanomaly.evaluation.worlds.kept import FOLDER, keep, key_of, place_of, read_kept
from roadanomaly.files import write_text
from roadanomaly.ledger import Ledger
from roadanomaly.locks import holding
from roadanomaly.model import Model, load
from roadanomaly.progress import counting
from roadanomaly.report.tables.formats import to_csv
from roadanomaly.report.tables.worlds import (
    Scored,
    choices_text,
    full_table,
    mean_ranks,
    worlds_markdown,
    worlds_text,
)
from roadanomaly.training.record import run_record
from roadanomaly.weights_hash import network_key, weights_hash

CONFIG = RECIPES / "models" / "worlds.yaml"
EXAMPLES = """
roadanomaly worlds
roadanomaly worlds runs/densehybrid_espnetv2_camvid
roadanomaly worlds runs/a runs/b runs/c --out runs/worlds
roadanomaly worlds runs/a --config my_worlds.yaml --only streets_301,streets_302
roadanomaly worlds runs/a --alarms 0.1,0.3,1
"""
FILES = ("worlds.txt", "worlds.md", "worlds.csv", "worlds.json")


@dataclass(frozen=True)
class Entry:
    """A model that was named.

    Args:
        name: in tables.
        run: as it was given.
        model: loaded.
    """

    name: str
    run: str
    model: Model


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
    notes = [f"the world {name} was left out: {why}" for name, why in skipped.items()]
    entries = _load(given)
    notes += [
        f"{one.name} has no threshold, so nothing at one is known and it ranks last in ordinary "
        "worlds; `roadanomaly fit` calibrates it."
        for one in entries
        if one.model.calibration is None
    ]
    rows = _rows(entries, worlds, out)
    record = run_record(config=given.as_dict())
    held = {"record": record, **_contents(entries, worlds, skipped, rows)}
    text = worlds_text(rows, notes)
    write_text(out / "worlds.txt", text)
    write_text(out / "worlds.md", worlds_markdown(rows, notes))
    write_text(out / "worlds.csv", to_csv(full_table(rows)))
    write_text(out / "worlds.json", json.dumps(without_nan(held), indent=1, allow_nan=False) + "\n")
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


def _rows(entries: Sequence[Entry], worlds: Sequence[World], out: Path) -> list[Scored]:
    """Score what is not kept, with models of one segmenter together, and keep it."""
    results: dict[tuple[str, str], WorldResult] = {}
    left: list[tuple[World, list[Entry]]] = []
    paths = {}
    for world in worlds:
        for group in _groups(entries):
            for one in group:
                path = place_of(out, world, key_of(one.model, world))
                paths[one.name, world.name] = path
                kept = read_kept(path)
                if kept is not None:
                    results[one.name, world.name] = kept
            missing = [one for one in group if (one.name, world.name) not in results]
            if missing:
                left.append((world, missing))
    if results:
        sys.stderr.write(f"{len(results)} results of {out / FOLDER} still hold.\n")
    for world, group in left:
        named = ", ".join(one.name for one in group)
        with counting(len(world.frames), f"{world.name} ({named})") as step:
            found = score_together({one.name: one.model for one in group}, world, step)
        for name, result in found.items():
            keep(paths[name, world.name], result)
            results[name, world.name] = result
    return [
        Scored(one.name, {world.name: results[one.name, world.name] for world in worlds})
        for one in entries
    ]


def _groups(entries: Sequence[Entry]) -> list[list[Entry]]:
    """Put models together whose segmenters are equal, in weights and options."""
    groups: dict[str, list[Entry]] = {}
    for one in entries:
        groups.setdefault(network_key(one.model.segmenter), []).append(one)
    return list(groups.values())


def _contents(
    entries: Sequence[Entry],
    worlds: Sequence[World],
    skipped: dict[str, str],
    rows: Sequence[Scored],
) -> dict[str, Any]:
    """Return what was scored and what came out, for programs."""
    by_ap, by_fpr95 = mean_ranks(rows, "ap"), mean_ranks(rows, "fpr95")
    models = [
        {
            "model": one.name,
            "run": one.run,
            "weights": weights_hash(one.model.networks),
            "threshold": one.model.calibration and one.model.calibration.threshold,
            "mean_rank": float(by_ap[place]),
            "mean_rank_fpr95": float(by_fpr95[place]),
            "worlds": {name: asdict(result) for name, result in rows[place].results.items()},
        }
        for place, one in enumerate(entries)
    ]
    described = {
        world.name: {
            "frames": len(world.frames),
            "options": dict(world.options),
            "data": world.frames.record(),
            "ids": world.frames.frame_ids(),
        }
        for world in worlds
    }
    return {"models": models, "worlds": described, "left_out": skipped}
