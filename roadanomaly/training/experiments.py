"""A run's numbers in an experiment tracker too: MLflow or Weights & Biases.

Which run of the tracker it is stands in the run folder, so that a run that is resumed goes on in
the same one. A tracker that stops answering is told once, and the training goes on without it.
"""

from __future__ import annotations

import json
import logging
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from roadanomaly.errors import UserError
from roadanomaly.extras import require
from roadanomaly.files import write_text

KEPT = "experiment.json"
"""File of a run folder that names the tracker's run."""

PROJECT = "roadanomaly"

log = logging.getLogger(__name__)


class Tracker(ABC):
    """One run of a tracker.

    Class facts:
        name: as `logger` in a config says it.
        package: to import.
    """

    name: str
    package: str

    @abstractmethod
    def open(self, known: str | None, folder: Path, config: Mapping[str, Any]) -> str:
        """Begin a run, or go on with one; return its id.

        Args:
            known: id of the run to go on with, or None.
            folder: of the training run, whose name it takes.
            config: plain values.
        """

    @abstractmethod
    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Log numbers of a step."""

    @abstractmethod
    def picture(self, step: int, name: str, picture: np.ndarray) -> None:
        """Log a picture, `(H, W, 3)` uint8."""

    @abstractmethod
    def close(self, *, finished: bool) -> None:
        """End the run, whole or to be resumed."""


class MLflow(Tracker):
    """A run of MLflow, where `MLFLOW_TRACKING_URI` says; experiment `MLFLOW_EXPERIMENT_NAME`."""

    name = package = "mlflow"

    def open(self, known: str | None, folder: Path, config: Mapping[str, Any]) -> str:
        """Begin a run with the config as its parameters, or go on with one."""
        self.mlflow = require("mlflow", "`logger: mlflow`")
        self.client = self.mlflow.MlflowClient()
        if known is not None:
            self.client.update_run(known, status="RUNNING")
            self.run = known
            return known
        place = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        found = self.client.get_experiment_by_name(place)
        experiment = found.experiment_id if found else self.client.create_experiment(place)
        self.run = self.client.create_run(experiment, run_name=folder.name).info.run_id
        for key, value in config.items():
            self.client.log_param(self.run, key, json.dumps(value))
        return self.run

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Log numbers of a step in one request."""
        now = int(time.time() * 1000)
        metric = self.mlflow.entities.Metric
        metrics = [metric(key, float(value), now, step) for key, value in values.items()]
        self.client.log_batch(self.run, metrics=metrics)

    def picture(self, step: int, name: str, picture: np.ndarray) -> None:
        """Log a picture as an artifact."""
        self.client.log_image(self.run, picture, artifact_file=f"{name}_{step:07}.png")

    def close(self, *, finished: bool) -> None:
        """End the run: FINISHED, or KILLED where it can be resumed."""
        self.client.set_terminated(self.run, "FINISHED" if finished else "KILLED")


class WandB(Tracker):
    """A run of Weights & Biases, in the project `WANDB_PROJECT`; `WANDB_MODE=offline` works."""

    name = package = "wandb"

    def open(self, known: str | None, folder: Path, config: Mapping[str, Any]) -> str:
        """Begin a run, or go on with one; numbers stand over our own steps."""
        self.wandb = require("wandb", "`logger: wandb`")
        self.run = self.wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            name=folder.name,
            config=dict(config),
            id=known,
            resume="allow",
            dir=str(folder),
        )
        self.run.define_metric("*", step_metric="step")
        return str(self.run.id)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Log numbers of a step; steps that are done again after a kill are logged again."""
        self.run.log({**values, "step": step})

    def picture(self, step: int, name: str, picture: np.ndarray) -> None:
        """Log a picture."""
        self.run.log({name: self.wandb.Image(picture), "step": step})

    def close(self, *, finished: bool) -> None:
        """End the run, with a code that is not 0 where it can be resumed."""
        self.run.finish(exit_code=0 if finished else 1)


TRACKERS: Mapping[str, type[Tracker]] = {"mlflow": MLflow, "wandb": WandB}


class Experiment:
    """What a run tells a tracker; a fault of the tracker never ends the run.

    Args:
        tracker: that is open.
    """

    def __init__(self, tracker: Tracker) -> None:
        self._tracker: Tracker | None = tracker

    def scalars(self, step: int, part: str, values: Mapping[str, float]) -> None:
        """Log numbers of a step as `part/name`."""
        named = {f"{part}/{key}": value for key, value in values.items()}
        self._told(lambda tracker: tracker.scalars(step, named))

    def picture(self, step: int, name: str, picture: np.ndarray) -> None:
        """Log a picture, `(H, W, 3)` uint8."""
        self._told(lambda tracker: tracker.picture(step, name, picture))

    def close(self, *, finished: bool) -> None:
        """End the tracker's run."""
        self._told(lambda tracker: tracker.close(finished=finished))
        self._tracker = None

    def _told(self, say: Callable[[Tracker], None]) -> None:
        if self._tracker is None:
            return
        try:
            say(self._tracker)
        except Exception as error:  # the run is worth more than whatever a tracker raises
            name = self._tracker.name
            log.warning(
                "%s takes no more (%s: %s); the run goes on without it, and `--resume` tries it "
                "again. All numbers are in the run folder.",
                name,
                type(error).__name__,
                error,
            )
            self._tracker = None


def open_experiment(
    name: str, folder: Path, config: Mapping[str, Any], start: int
) -> Experiment | None:
    """Open the tracker that a config names.

    Args:
        name: `none`, `mlflow` or `wandb`.
        folder: of the training run.
        config: plain values.
        start: steps that are done; with some, the tracker's run of that folder goes on.

    Returns:
        None for `none`.

    Raises:
        MissingExtra: its package is not installed.
        UserError: it cannot be opened.
    """
    if name == "none":
        return None
    tracker = TRACKERS[name]()
    kept = folder / KEPT
    try:
        known = _known(kept, name) if start else None
        run = tracker.open(known, folder, config)
    except UserError:
        raise
    except Exception as error:
        msg = (
            f"`logger: {name}` cannot be opened ({type(error).__name__}: {error}). Check its "
            "address and login, or train with `--logger none`; --resume may change it."
        )
        raise UserError(msg) from error
    write_text(kept, json.dumps({"logger": name, "run": run}) + "\n")
    return Experiment(tracker)


def _known(kept: Path, name: str) -> str | None:
    """Return the tracker's run of a folder, where it was of this tracker."""
    if not kept.exists():
        return None
    held = json.loads(kept.read_text())
    return held["run"] if held["logger"] == name else None
