"""The folder of a run: what lies where, how it begins, and that a resumed run is the same run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import Any

import yaml

from roadanomaly.errors import OptionError, UserError
from roadanomaly.files import write_text
from roadanomaly.folders import standing
from roadanomaly.formats import upgrade_recipe
from roadanomaly.ledger import Ledger
from roadanomaly.negatives import NEGATIVES
from roadanomaly.training.experiments import KEPT
from roadanomaly.training.run_config import RunConfig

FREE_KEYS = (
    "out",
    "workers",
    "accelerator",
    "devices",
    "checkpoint_every",
    "log_every",
    "logger",
    "worlds",
)
"""Keys that may change when a run is resumed: they do not change what is learned."""

SOURCES = ("negatives", "val_negatives")
"""Keys that hold a source of negatives."""
FINISHED = "finished.json"
"""File that a run leaves when all is done, so that one that was cut off is told from it."""

MADE = ("model", "flow", "generator")
"""Folders of what runs make."""

BEGUN = (
    "config.yaml",
    "record.json",
    FINISHED,
    "metrics.csv",
    "validation.csv",
    "tensorboard/",
    KEPT,
    "wandb/",
)
"""What a run writes from its beginning, in place of what a run that was cut off left."""


EVALUATIONS = {"metrics.json": "an evaluation of `evaluate`"}
"""What evaluations hold, by what only they write: a run has a `record.json`, too."""


class RunFolder:
    """Paths of a run folder.

    Args:
        path: the folder.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.last = self.path / "checkpoints" / "last.pt"
        self.model = self.path / "model"

    def require_free(self) -> None:
        """Refuse a folder that holds a run, a model, a flow, a generator or an evaluation already.

        Raises:
            UserError: says how to go on.
        """
        if self.last.exists():
            msg = (
                f"{self.path} already holds a run; continue it with --resume, give another "
                "folder with --out, or delete it."
            )
            raise UserError(msg)
        for made in MADE:
            if standing(self.path / made).exists():
                msg = (
                    f"{self.path} already holds a {made}, and no checkpoint to continue from; "
                    "give another folder with --out, or delete it."
                )
                raise UserError(msg)
        Ledger(self.path).refuse_results(EVALUATIONS)

    def begin(self, config: RunConfig, record: dict[str, Any]) -> None:
        """Make the folder and write `config.yaml` and `record.json`.

        Raises:
            UserError: it holds a run or what one made already, or files of somebody else that a
                run would replace; or it cannot be written.
        """
        self.require_free()
        Ledger(self.path).claim(BEGUN, BEGUN if is_run(self.path) else ())
        shutil.rmtree(self.path / "tensorboard", ignore_errors=True)
        for left in (KEPT, FINISHED):
            (self.path / left).unlink(missing_ok=True)
        write_text(self.path / "record.json", json.dumps(record, indent=1) + "\n")
        write_text(self.path / "config.yaml", yaml.safe_dump(plain(config), sort_keys=False))

    def finish(self, steps: int) -> None:
        """Note that all is done: the steps, and what comes after the last one.

        Args:
            steps: of the run.

        Raises:
            UserError: it cannot be written.
        """
        write_text(self.path / FINISHED, json.dumps({"steps": steps}) + "\n")

    @property
    def finished(self) -> bool:
        """Whether that was noted; runs of earlier versions noted nothing."""
        return (self.path / FINISHED).exists()


def is_run(folder: Path) -> bool:
    """Tell whether a folder holds a run, by its record and config."""
    try:
        record = json.loads((folder / "record.json").read_text())
    except (OSError, ValueError, RecursionError):
        return False
    ours = isinstance(record, dict) and {"command", "started", "packages"} <= record.keys()
    return ours and (folder / "config.yaml").exists()


def plain(config: Any) -> dict[str, Any]:
    """Return a config as values that YAML and JSON hold."""
    return json.loads(json.dumps(asdict(config)))


def check_same_run(
    saved: dict[str, Any], processes: int, config: RunConfig, processes_now: int
) -> None:
    """Refuse to resume what would be another run.

    Args:
        saved: `plain` of the config in the checkpoint; keys that an earlier version did not know
            take their defaults.
        processes: that wrote the checkpoint.
        config: of the run that resumes.
        processes_now: of the run that resumes.

    Raises:
        OptionError: names what differs.
    """
    before = {**saved, "number of processes": processes}
    now = {**plain(config), "number of processes": processes_now}
    for key, (was, becomes) in differences(before, now, type(config)).items():
        msg = (
            f"--resume: `{key}` was {was!r} and is {becomes!r} now. A resumed run "
            "must be the same run: set it back, or start another with --out."
        )
        raise OptionError(msg)


def differences(
    saved: Mapping[str, Any], now: Mapping[str, Any], kind: type
) -> dict[str, tuple[Any, Any]]:
    """Return what two configs say differently, but for what does not change what is learned.

    Args:
        saved: plain values, perhaps of an earlier version; keys that it lacks take their defaults.
        now: plain values of today.
        kind: dataclass of both.

    Returns:
        by key, what was saved and what is now.
    """
    defaults = {one.name: one.default for one in fields(kind) if one.default is not MISSING}
    known = upgrade_recipe(dict(saved)) if "refiners" in defaults else saved
    before = {**json.loads(json.dumps(defaults)), **known}
    return {
        key: (before.get(key), value)
        for key, value in now.items()
        if key not in FREE_KEYS and _today(key, before.get(key)) != _today(key, value)
    }


def _today(key: str, value: Any) -> Any:
    """Write a source as configs do today, so that an earlier version's run can be resumed."""
    return NEGATIVES.upgraded(value) if key in SOURCES and value else value
