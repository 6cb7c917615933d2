"""Score named models in held-out worlds as `worlds` and `adapt` do, and write the tables."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from roadanomaly.cli.recipes import RECIPES
from roadanomaly.evaluation.folder import without_nan
from roadanomaly.evaluation.worlds import World, WorldResult, score_together
from roadanomaly.evaluation.worlds.kept import FOLDER, keep, key_of, place_of, read_kept
from roadanomaly.files import write_text
from roadanomaly.model import Model
from roadanomaly.progress import counting
from roadanomaly.report.tables.formats import to_csv
from roadanomaly.report.tables.worlds import (
    Scored,
    full_table,
    mean_ranks,
    worlds_markdown,
    worlds_text,
)
from roadanomaly.training.record import run_record
from roadanomaly.weights_hash import network_key, weights_hash

CONFIG = RECIPES / "models" / "worlds.yaml"
"""The package's own worlds."""

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


def score_and_write(
    entries: Sequence[Entry],
    worlds: Sequence[World],
    skipped: dict[str, str],
    out: Path,
    config: dict[str, Any],
) -> str:
    """Score models in worlds, write `FILES`, and return the tables as text.

    Args:
        entries: the models, on their devices, in the order of the rows.
        worlds: of `open_worlds`.
        skipped: why each further world was left out, by name.
        out: folder of the files, and of the results that are kept.
        config: what was asked for, for the record.

    Raises:
        DataError: a frame has no truth, or cannot be read or scored.
        UserError: the folder cannot be written.
    """
    notes = [f"the world {name} was left out: {why}" for name, why in skipped.items()]
    notes += [
        f"{one.name} has no threshold, so nothing at one is known and it ranks last in ordinary "
        "worlds; `roadanomaly fit` calibrates it."
        for one in entries
        if one.model.calibration is None
    ]
    rows = score_entries(entries, worlds, out)
    held = {"record": run_record(config=config), **_contents(entries, worlds, skipped, rows)}
    text = worlds_text(rows, notes)
    write_text(out / "worlds.txt", text)
    write_text(out / "worlds.md", worlds_markdown(rows, notes))
    write_text(out / "worlds.csv", to_csv(full_table(rows)))
    write_text(out / "worlds.json", json.dumps(without_nan(held), indent=1, allow_nan=False) + "\n")
    return text


def score_entries(entries: Sequence[Entry], worlds: Sequence[World], out: Path) -> list[Scored]:
    """Score what is not kept, with models of one segmenter together, and keep it.

    Raises:
        DataError: a frame has no truth, or cannot be read or scored.
        UserError: a result cannot be written.
    """
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
