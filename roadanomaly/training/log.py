"""Where a run's numbers go: a progress line, CSV files, TensorBoard, and a tracker if asked."""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Mapping
from math import isnan
from pathlib import Path
from typing import Any

import numpy as np
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from roadanomaly.metrics.curve import PixelResult
from roadanomaly.training.experiments import Experiment

CURVE_POINTS = 127
"""TensorBoard keeps no more."""


class CsvTable:
    """A CSV file with a `step` column that grows by rows and can be cut back.

    Args:
        path: the file.
        start: rows of later steps, left by a run that was killed, are dropped.
    """

    def __init__(self, path: Path, start: int) -> None:
        self.path = path
        self.columns: list[str] = []
        if path.exists():
            with path.open(newline="") as file:
                rows = [row for row in csv.DictReader(file) if int(row["step"]) <= start]
            if start and rows:
                self.columns = list(rows[0])
            self._write("w", rows if start else [])

    def add(self, row: dict[str, Any]) -> None:
        """Append one row; the first row fixes the columns."""
        first = not self.columns
        self.columns = self.columns or list(row)
        self._write("w" if first else "a", [row])

    def _write(self, mode: str, rows: list[dict[str, Any]]) -> None:
        with self.path.open(mode, newline="") as file:
            writer = csv.DictWriter(file, self.columns, extrasaction="ignore")
            if mode == "w" and self.columns:
                writer.writeheader()
            writer.writerows(rows)


class RunLog:
    """Progress on the terminal, `metrics.csv`, `validation.csv` and TensorBoard events.

    Args:
        folder: the run folder.
        steps: of the whole run.
        start: steps that are done.
        experiment: an experiment tracker's run, which is told the same, or None.

    Attributes:
        finished: whether the run came to its end, which the tracker is told on closing.
    """

    def __init__(
        self, folder: Path, steps: int, start: int, experiment: Experiment | None = None
    ) -> None:
        self.metrics = CsvTable(folder / "metrics.csv", start)
        self.validation = CsvTable(folder / "validation.csv", start)
        self.board = SummaryWriter(str(folder / "tensorboard"), purge_step=start + 1)
        self.bar = tqdm(
            total=steps,
            initial=start,
            unit="step",
            dynamic_ncols=True,
            disable=not sys.stderr.isatty(),
        )
        self.steps = steps
        self.began = time.perf_counter()
        self.start = start
        self.finished = False
        self.experiment = experiment

    def begin(self) -> None:
        """Take the time from here on: what came before the first step says nothing of the rest."""
        self.began = time.perf_counter()

    def train(self, step: int, values: dict[str, float]) -> None:
        """Log the training values of a step."""
        self.metrics.add({"step": step, **values})
        self._scalars(step, "train", values)
        text = "  ".join(f"{key} {value:.3g}" for key, value in values.items())
        if self.bar.disable:
            each = (time.perf_counter() - self.began) / max(1, step - self.start)
            left = each * (self.steps - step) / 60
            self.say(f"step {step}/{self.steps}  {text}  {left:.1f} min left")
        else:
            self.bar.set_postfix_str(text)

    def advance(self) -> None:
        """Move the progress line by a step."""
        self.bar.update()

    def validate(
        self, step: int, values: dict[str, float], curve: PixelResult, sheet: np.ndarray | None
    ) -> None:
        """Log a validation: scalars, the precision-recall curve and a sheet of pictures.

        What is not defined, such as the AP before anything was learned, is not said.
        """
        self.validation.add({"step": step, **values})
        self._scalars(step, "validation", values)
        if sheet is not None:
            self._picture(step, "validation/frames", sheet)
        if len(curve.recall):
            self._curve(step, curve)
        self.board.flush()
        self.say(
            f"validation at step {step}: "
            + "  ".join(
                f"{key} {100 * value:.2f}" for key, value in values.items() if not isnan(value)
            )
        )

    def judge(self, step: int, values: dict[str, float], text: str) -> None:
        """Log a validation that is no more than scalars, and say it in words of its own."""
        self.validation.add({"step": step, **values})
        self._scalars(step, "validation", values)
        self.say(f"validation at step {step}: {text}")

    def show(
        self, step: int, pictures: Mapping[str, np.ndarray], histograms: Mapping[str, np.ndarray]
    ) -> None:
        """Log pictures `(H, W, 3)` uint8 and the distributions of values to TensorBoard."""
        for name, picture in pictures.items():
            self._picture(step, name, picture)
        for name, values in histograms.items():
            self.board.add_histogram(name, values, step)
        self.board.flush()

    def _scalars(self, step: int, part: str, values: Mapping[str, float]) -> None:
        for key, value in values.items():
            self.board.add_scalar(f"{part}/{key}", value, step)
        if self.experiment:
            self.experiment.scalars(step, part, values)

    def _picture(self, step: int, name: str, picture: np.ndarray) -> None:
        self.board.add_image(name, picture, step, dataformats="HWC")
        if self.experiment:
            self.experiment.picture(step, name, picture)

    def _curve(self, step: int, curve: PixelResult) -> None:
        count = len(curve.recall)
        picked = np.linspace(0, count - 1, min(CURVE_POINTS, count)).astype(int)
        tp = curve.recall[picked] * curve.positives
        fp = curve.fpr[picked] * curve.negatives
        self.board.add_pr_curve_raw(
            "validation/precision_recall",
            true_positive_counts=tp,
            false_positive_counts=fp,
            true_negative_counts=curve.negatives - fp,
            false_negative_counts=curve.positives - tp,
            precision=curve.precision[picked],
            recall=curve.recall[picked],
            global_step=step,
            num_thresholds=len(picked),
        )

    def say(self, text: str) -> None:
        """Print a line without tearing the progress line."""
        tqdm.write(text, file=sys.stderr)
        sys.stderr.flush()

    def close(self) -> None:
        """Close the files."""
        self.bar.close()
        self.board.close()
        if self.experiment:
            self.experiment.close(finished=self.finished)
