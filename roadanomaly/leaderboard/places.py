"""Where a leaderboard's files lie, and what tells whether they still hold."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from roadanomaly.evaluation.spool import fingerprint
from roadanomaly.files import write_text
from roadanomaly.folders import standing
from roadanomaly.leaderboard.config import Board, TestSet
from roadanomaly.leaderboard.plan import Run

WORDS = ("title", "note")
"""Of a set, what changes no figure."""


def evaluation_folder(board: Board, set_name: str, run: Run) -> Path:
    """Return the folder of a run's evaluation on a set, as `roadanomaly evaluate` writes it."""
    return Path(board.out) / "evaluations" / set_name / run.name


def evaluation_stamp(board: Board, set_name: str, run: Run) -> Path:
    """Return the file beside it that says what was scored."""
    return Path(board.out) / "evaluations" / set_name / f"{run.name}.json"


def worlds_file(board: Board) -> Path:
    """Return the file that describes the ordinary sets, as `roadanomaly worlds` reads it."""
    return Path(board.out) / "configs" / "ordinary.yaml"


def ordinary_folder(board: Board, set_name: str, run: Run) -> Path:
    """Return the folder of a run on ordinary frames, as `roadanomaly worlds` writes it."""
    return Path(board.out) / "ordinary" / set_name / run.name


def ordinary_stamp(board: Board, set_name: str, run: Run) -> Path:
    """Return the file beside it that says what was scored."""
    return Path(board.out) / "ordinary" / set_name / f"{run.name}.json"


def measured_file(board: Board, run: Run) -> Path:
    """Return the file of what a row costs and keeps."""
    return Path(board.out) / "measured" / f"{run.name}.json"


def bare_file(board: Board) -> Path:
    """Return the file of what the segmenter alone is."""
    return Path(board.out) / "measured" / "segmenter.json"


def log_file(board: Board, name: str) -> Path:
    """Return where a child's output goes."""
    return Path(board.out) / "logs" / f"{name}.log"


def measured_name(run: Run) -> str:
    """Return what the measuring of a run is called."""
    return f"{run.name}_measured"


def failure_file(board: Board, name: str) -> Path:
    """Return the file that says why a run's last try failed, or that of measuring it."""
    return Path(board.out) / "failures" / f"{name}.json"


def model_key(run: Run) -> str:
    """Return what tells one saved model from another: its weights and options, not its record."""
    folder = standing(run.folder / "model")
    description = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    description.pop("record", None)
    weights = hashlib.sha256((folder / "weights.safetensors").read_bytes()).hexdigest()
    return fingerprint({"description": description, "weights": weights})


def key_of(run: Run, asked: Any) -> str:
    """Return one word for a run's model and what was asked of it."""
    return fingerprint({"model": model_key(run), "asked": asked})


def asked_of(given: TestSet) -> dict[str, Any]:
    """Return what decides an evaluation's figures."""
    return {key: one for key, one in asdict(given).items() if key not in WORDS}


def read_values(path: Path) -> dict[str, Any]:
    """Return a JSON file's mapping; empty where there is none, or a broken one."""
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return held if isinstance(held, dict) else {}


def write_values(path: Path, values: Mapping[str, Any]) -> None:
    """Write a mapping as JSON, whole or not at all."""
    write_text(path, json.dumps(values, indent=1) + "\n")
