"""A leaderboard's folder as commands would have left it, without training anything."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import yaml

from roadanomaly.evaluation.findings import save_findings
from roadanomaly.leaderboard.config import Board, board_of
from roadanomaly.leaderboard.measuring import measured_key
from roadanomaly.leaderboard.places import (
    asked_of,
    evaluation_folder,
    evaluation_stamp,
    key_of,
    measured_file,
    write_values,
)
from roadanomaly.leaderboard.plan import Run, plan_of
from roadanomaly.report.thumbnails import write_thumbnails
from tests.report.made import make_findings, make_frames, make_scores

STREETS = {"name": "streets", "count": 2}
HELD = {
    "title": "A table",
    "segmenter": {"name": "espnetv2", "scale": 0.5},
    "against": "msp",
    "published": "smiyc-anomaly",
    "frames": 2,
    "resamples": 20,
    "training": {
        "train_data": STREETS,
        "val_data": {**STREETS, "split": "val"},
        "steps": 4,
        "batch_size": 2,
        "crop": [32, 64],
    },
    "fitting": {"data": STREETS},
    "sets": {"streets": {"data": {**STREETS, "split": "test"}, "title": "Streets"}},
    "rows": {
        "msp": {"how": "fit", "published": "MSP", "options": {"detector": {"name": "msp"}}},
        "odin": {"how": "fit", "published": "ODIN", "options": {"detector": {"name": "odin"}}},
        "sml": {"how": "fit", "published": "SML", "options": {"detector": {"name": "energy"}}},
        "entropy": {
            "title": "Trained entropy",
            "options": {"detector": {"name": "entropy"}},
            "seeds": [0, 1, 2],
            "note": "said in the row",
        },
    },
}
STRENGTHS = {"msp_0": 0.4, "odin_0": 1.0, "sml_0": 0.7, "entropy_0": 1.6, "entropy_1": 2.0}
"""Of the scores of each run; `entropy_2` is left out."""


def make_board(folder: Path, **changes) -> Board:
    return board_of({**HELD, "out": str(folder), **changes}, "the config")


def runs_of(board: Board) -> dict[str, Run]:
    return {run.name: run for run in plan_of(board, Path())}


def make_run(run: Run) -> None:
    """Leave what tells of a fit or a finished training; no network can be loaded from it."""
    model = run.folder / "model"
    model.mkdir(parents=True)
    if run.how == "train":
        (run.folder / "config.yaml").write_text(yaml.safe_dump(run.values))
    record = {"config": run.values, "trained_parameters": 1_500_000}
    description = {"calibration": {"seed": run.seed}, "record": record}
    (model / "model.json").write_text(json.dumps(description))
    (model / "weights.safetensors").write_bytes(run.name.encode())


def make_evaluation(
    board: Board, run: Run, strength: float, warnings: tuple[str, ...] = ()
) -> None:
    """Leave what an evaluation leaves: numbers, and pictures of its frames."""
    frames = make_frames(4)
    scores = make_scores(frames, strength, seed=run.seed)
    given = {"set_name": "streets", "detector": run.values["detector"]["name"]}
    kind = "pasted objects" if run.how == "train" else "none"
    found = make_findings(frames, scores, supervision=kind, **given)
    found = replace(found, warnings=warnings)
    folder = evaluation_folder(board, "streets", run)
    save_findings(folder, found)
    (folder / "record.json").write_text("{}")
    for frame in frames:
        write_thumbnails(folder, "streets", frame, {found.detector: scores[frame.id]})
    stamp = evaluation_stamp(board, "streets", run)
    write_values(stamp, {"key": key_of(run, asked_of(board.sets["streets"]))})


def make_all(folder: Path) -> Board:
    """Return a board of which one seed was never trained."""
    board = make_board(folder)
    runs = runs_of(board)
    for name, strength in STRENGTHS.items():
        make_run(runs[name])
        make_evaluation(board, runs[name], strength)
        make_measurement(board, runs[name])
    return board


def make_measurement(board: Board, run: Run) -> None:
    """Leave what measuring a run leaves; its mIoU rises by a tenth with each seed."""
    cost = {"plain_ms": 100.0, "scored_ms": 130.0, "plain_mb": 50.0, "scored_mb": 80.0}
    values = {"key": measured_key(board, run), "machine": "a loom", "miou": 0.5 + run.seed / 10}
    write_values(measured_file(board, run), {**values, **cost})
