"""Results of models in worlds, kept in files so that nothing is scored twice."""

from __future__ import annotations

import importlib.metadata
import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from roadanomaly.evaluation.sources import options_of
from roadanomaly.evaluation.spool import fingerprint
from roadanomaly.evaluation.worlds.result import WorldResult
from roadanomaly.evaluation.worlds.world import World
from roadanomaly.files import write_text
from roadanomaly.model import Model
from roadanomaly.weights_hash import spelled, weights_hash

FOLDER = "results"
FORMAT = 1
"""Of what a result means; another one makes all kept results void."""


def key_of(model: Model, world: World) -> str:
    """Return what a result depends on as one word.

    That is: all weights, the parts by name and options, the calibration, the world's options, data
    and ids of frames, device and precision, the version of this package. What lies in the files of
    a world is not looked at.
    """
    return fingerprint(
        {
            "format": FORMAT,
            "version": importlib.metadata.version("roadanomaly"),
            "weights": weights_hash(model.networks),
            "segmenter": spelled(model.segmenter),
            "detector": options_of(model.head),
            "calibration": model.calibration.as_dict() if model.calibration else None,
            "device": model.device.type,
            "precision": model.precision,
            "options": dict(world.options),
            "data": world.frames.record(),
            "ids": world.frames.frame_ids(),
        }
    )


def place_of(folder: Path, world: World, key: str) -> Path:
    """Return where a result is kept."""
    return folder / FOLDER / world.name / f"{key}.json"


def read_kept(path: Path) -> WorldResult | None:
    """Read a result; None where there is none, or a broken one."""
    try:
        held: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        values = {one.name: held[one.name] for one in fields(WorldResult)}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return WorldResult(**values)


def keep(path: Path, result: WorldResult) -> None:
    """Write a result; NaN is written as Python's JSON has it.

    Raises:
        UserError: it cannot be written.
    """
    write_text(path, json.dumps(asdict(result), indent=1) + "\n")
