"""Proof that a submission ranks as the scores do: the metrics before against after."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from roadanomaly.data.benchmark import BenchmarkSet, look_up
from roadanomaly.data.images import read_label
from roadanomaly.errors import DataError
from roadanomaly.metrics import PixelExact, PixelOfficial

MOST_LOST = 1e-4
"""Exact AP and FPR95 may change by this much, a hundredth of a point."""

OFFICIAL = "official_"
"""How the names of metrics begin that the benchmark's binning blurs; they may change more."""


def public_truth(frames: BenchmarkSet, frame_id: str) -> np.ndarray | None:
    """Return a frame's truth, `(H, W)` uint8 of 0, 1, 255, or None where it is hidden.

    The image is not read.

    Raises:
        DataError: the label file cannot be read.
    """
    path = frames.files[frame_id].label
    return None if path is None else look_up(read_label(path), frames.anomaly_table).numpy()


def compare(frames: int, before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, Any]:
    """Put metrics side by side.

    Args:
        frames: how many they were taken on.
        before: of the scores, fractions, NaN where undefined.
        after: of what was written; the same keys.

    Returns:
        `frames`, `before`, `after` and `change`, None where undefined.

    Raises:
        DataError: one that is not official changed by more than `MOST_LOST`.
    """
    change = {key: after[key] - value for key, value in before.items()}
    for key, value in change.items():
        if abs(value) > MOST_LOST and not key.startswith(OFFICIAL):
            msg = (
                f"writing the scores changed {key} from {before[key]:.6f} to {after[key]:.6f} on "
                f"the {frames} frames with public truth, more than {MOST_LOST:g}: nothing was "
                "packed. Give --scores after a monotone change of your own, and report this."
            )
            raise DataError(msg)
    columns = {"before": before, "after": after, "change": change}
    plain = {
        name: {key: None if math.isnan(value) else value for key, value in column.items()}
        for name, column in columns.items()
    }
    return {"frames": frames, **plain}


class _Numbers:
    """Pixel metrics of one state of the scores."""

    def __init__(self, *, binned: bool) -> None:
        self._metrics: dict[str, PixelExact | PixelOfficial] = {"": PixelExact()}
        if binned:
            self._metrics[OFFICIAL] = PixelOfficial()

    def update(self, frame_id: str, score: np.ndarray, truth: np.ndarray) -> None:
        for metric in self._metrics.values():
            metric.update(frame_id, score, truth)

    def as_dict(self) -> dict[str, float]:
        found: dict[str, float] = {}
        for prefix, metric in self._metrics.items():
            result = metric.compute()
            both = result.positives > 0 and result.negatives > 0
            found[f"{prefix}ap"] = result.ap if both else float("nan")
            found[f"{prefix}fpr95"] = result.fpr95 if both else float("nan")
        return found


class PixelProof:
    """Pixel metrics on the frames with public truth, of the scores and of what was written.

    Keeps every counted score, twice.

    Args:
        binned: add SegmentMeIfYouCan's own figures, which it takes on bins.
    """

    def __init__(self, *, binned: bool) -> None:
        self._before, self._after = _Numbers(binned=binned), _Numbers(binned=binned)
        self._frames = 0

    def update(
        self, frame_id: str, before: np.ndarray, after: np.ndarray, truth: np.ndarray | None
    ) -> None:
        """Count one frame.

        Args:
            frame_id: of the frame.
            before: `(H, W)` float, the scores.
            after: `(H, W)` float, what was read back.
            truth: `(H, W)` uint8 of 0, 1, 255; a frame without is passed over.
        """
        if truth is None:
            return
        self._before.update(frame_id, before, truth)
        self._after.update(frame_id, after, truth)
        self._frames += 1

    def as_dict(self) -> dict[str, Any]:
        """Return frames, the metrics before and after, fractions, and by how much they changed.

        Raises:
            DataError: exact AP or FPR95 changed by more than `MOST_LOST`.
        """
        if not self._frames:
            return {"frames": 0}
        return compare(self._frames, self._before.as_dict(), self._after.as_dict())


def as_lines(track: str, proof: dict[str, Any]) -> list[str]:
    """Return a track's proof in text."""
    if not proof["frames"]:
        return [f"{track}: no frame with public truth here, so no metric was compared"]
    lines = [f"{track}: metrics on {proof['frames']} frames with public truth, points"]
    lines.append(f"  {'':<15} {'before':>10} {'written':>10} {'change':>10}")
    for key, value in proof["before"].items():
        numbers = (value, proof["after"][key], proof["change"][key])
        shown = " ".join(
            "undefined".rjust(10) if n is None else f"{100 * n:10.5f}" for n in numbers
        )
        lines.append(f"  {key:<15} {shown}")
    return lines
