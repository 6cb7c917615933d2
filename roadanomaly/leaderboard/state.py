"""How far a run is, by what lies in its folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
import yaml

from roadanomaly.folders import standing
from roadanomaly.leaderboard.merging import replaced
from roadanomaly.leaderboard.plan import KINDS, MADE, Run
from roadanomaly.training.run_folder import RunFolder, differences

Progress = Literal["done", "begun", "to do", "changed"]

FREE_OF_A_FIT = ("batch",)
"""Of a fit's keys, what does not change what is fitted."""


def progress_of(run: Run) -> tuple[Progress, str]:
    """Tell how far a run is.

    Returns:
        `done`; `begun`, where a checkpoint or a part lies; `to do`; or `changed`, where another
        config made what lies there. And in words: what is there, or what differs.
    """
    folder = RunFolder(run.folder)
    made = standing(run.folder / MADE[run.how])
    recorded = _recorded(run, made)
    if recorded is None:
        return "to do", ""
    if differs := _differs(run, recorded):
        return "changed", differs
    if run.how == "fit":
        return "done", ""
    steps, step = int(run.values["steps"]), step_of(folder.last)
    if made.exists() and (folder.finished or _ended(run, made, step)):
        return "done", f"{steps} steps"
    return "begun", f"step {step or 0} of {steps}"


def _ended(run: Run, made: Path, step: int | None) -> bool:
    """Tell whether a run that noted no end came to it, as those of earlier versions did.

    A training may have lost its checkpoint: its end is the calibration. A flow or a generator is
    saved on the way, and tells only by a checkpoint of the last step.
    """
    if run.how == "train" and not _calibrated(made):
        return False
    return run.how == "train" if step is None else step >= int(run.values["steps"])


def _differs(run: Run, recorded: dict[str, Any]) -> str:
    """Say what the recorded config has otherwise; empty where it is the same."""
    now = run.values
    if now["precision"] == "auto":  # the run keeps what it stood for
        now.pop("precision")
    found = differences(_moved(recorded, run), now, KINDS[run.how])
    told = {
        key: pair for key, pair in found.items() if run.how != "fit" or key not in FREE_OF_A_FIT
    }
    return "; ".join(f"`{key}` was {was!r} and is {now!r}" for key, (was, now) in told.items())


def step_of(checkpoint: Path) -> int | None:
    """Return the step of a checkpoint; None where there is none that can be read."""
    try:
        held = torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=True)
        return int(held["step"])
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, EOFError):
        return None


def _recorded(run: Run, made: Path) -> dict[str, Any] | None:
    """Return the config that made what lies in the folder, None where nothing does."""
    try:
        if run.how == "fit":
            held = json.loads((made / "model.json").read_text())["record"]["config"]
        else:
            held = yaml.safe_load((run.folder / "config.yaml").read_text())
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError):
        return None
    return held if isinstance(held, dict) else None


def _moved(recorded: Mapping[str, Any], run: Run) -> dict[str, Any]:
    """Write the folders of other runs as they are called now: a board's folder may be moved."""
    ending = f"/runs/{run.name}"
    before, after = str(recorded.get("out", "")), str(run.folder)
    if not (before.endswith(ending) and after.endswith(ending)):
        return dict(recorded)
    old, new = before.removesuffix(run.name), after.removesuffix(run.name)

    def by(text: str) -> str:
        return new + text.removeprefix(old) if text.startswith(old) else text

    return replaced(recorded, by)


def _calibrated(model: Path) -> bool:
    """Return whether a training came to its end, which is the calibration."""
    try:
        return json.loads((model / "model.json").read_text())["calibration"] is not None
    except (OSError, ValueError, KeyError, TypeError):
        return False
