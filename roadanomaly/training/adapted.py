"""What an adaptation has come to: figures before and after, for people and for programs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

RESULT = "adapted.json"
"""File of the figures in a run folder."""

SHEET = "worst.png"
"""Picture of the held-out frames with the most false objects, before and after."""

POINTS = 0.03
"""Recall that may be lost before a warning says so."""


@dataclass(frozen=True)
class Figures:
    """What a model does at its threshold.

    Args:
        threshold: of the score.
        false_objects: regions of ordinary frames above the threshold, a frame; small ones left out.
        false_pixels: share of the pixels of ordinary frames above it.
        recall: share of pasted objects of which at least half of the pixels lie above it; NaN
            where none was large enough.
        objects: how many were pasted.
        world_ap: average precision on another world, or NaN.
        frames: how many ordinary frames there were.
    """

    threshold: float
    false_objects: float
    false_pixels: float
    recall: float
    objects: int
    world_ap: float
    frames: int

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON: None where a value is not a number."""
        return {key: None if one != one else one for key, one in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Figures:
        """Rebuild from `as_dict`."""
        known: dict[str, Any] = {k: math.nan if v is None else v for k, v in values.items()}
        return cls(**known)

    def scalars(self) -> dict[str, float]:
        """Return what is logged."""
        return {key: float(one) for key, one in asdict(self).items() if key not in FIXED}

    def worth(self, had: Figures) -> float:
        """Return how good it is beside what was before: recall gained, false objects lost."""
        share = self.false_objects / had.false_objects if had.false_objects else 0.0
        gained = self.recall - had.recall
        return (0.0 if math.isnan(gained) else min(gained, 0.1)) - share

    def in_words(self) -> str:
        """Return a line for people."""
        return (
            f"{self.false_objects:.2f} false objects a frame, recall {_share(self.recall)}, "
            f"other world AP {_share(self.world_ap)}"
        )


HOURLY = "false_objects_an_hour"
FIXED = ("objects", "frames")
"""Figures that are the same at each validation."""


@dataclass(frozen=True)
class Adapted:
    """The result of an adaptation.

    Args:
        had: figures of the model as it was.
        has: of the model as it is.
        best_step: at which it was saved.
        minutes: that it took, sampling of the drives left out.
        fps: of the drives, or 0 where nobody knows.
        least: pixels of an object that counts.
    """

    had: Figures
    has: Figures
    best_step: int
    minutes: float
    fps: float
    least: int

    def as_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
        return {
            "format": 1,
            "before": self._with_hours(self.had),
            "after": self._with_hours(self.has),
            "best_step": self.best_step,
            "minutes": round(self.minutes, 2),
            "fps": self.fps or None,
            "least_pixels": self.least,
            "warnings": self.warnings(),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Adapted:
        """Rebuild from `as_dict`."""
        had, has = (
            Figures.from_dict({k: v for k, v in values[key].items() if k != HOURLY})
            for key in ("before", "after")
        )
        fps = values["fps"] or 0.0
        return cls(had, has, values["best_step"], values["minutes"], fps, values["least_pixels"])

    def _with_hours(self, figures: Figures) -> dict[str, Any]:
        hourly = 3600 * self.fps * figures.false_objects if self.fps else None
        return {**figures.as_dict(), HOURLY: hourly}

    def warnings(self) -> list[str]:
        """Return what somebody who uses the model has to know."""
        found = []
        lost = self.had.recall - self.has.recall
        if lost > POINTS:
            found.append(
                f"the recall of pasted objects fell by {100 * lost:.1f} points: give negatives of "
                "your own (--negatives), more frames, or a larger --keep."
            )
        if self.has.false_objects >= self.had.false_objects > 0:
            found.append(
                "there are no fewer false objects than before: keep the model that you had, or "
                "give more frames or --steps."
            )
        return found

    def in_words(self) -> str:
        """Return a table for people."""
        rows: list[tuple[str, ...]] = [("", "before", "after")]
        rows.append(
            (
                f"false objects a frame (from {self.least} pixels)",
                f"{self.had.false_objects:.2f}",
                f"{self.has.false_objects:.2f}",
            )
        )
        if self.fps:
            hours = (f"{3600 * self.fps * one.false_objects:,.0f}" for one in self._both())
            rows.append((f"  an hour, at {self.fps:.4g} frames a second", *hours))
        rows += [
            ("false pixels", *(_share(one.false_pixels) for one in self._both())),
            (
                f"recall of {self.had.objects} pasted objects of other kinds",
                *(_share(one.recall) for one in self._both()),
            ),
            ("AP on another world", *(_share(one.world_ap) for one in self._both())),
            ("threshold", *(f"{one.threshold:.3f}" for one in self._both())),
        ]
        widths = [max(len(line[place]) for line in rows) for place in range(3)]
        lines = [
            f"{first:<{widths[0]}}  {second:>{widths[1]}}  {third:>{widths[2]}}"
            for first, second, third in rows
        ]
        hourly = "" if self.fps else "; --fps would tell the false objects an hour"
        lines.append(f"on {self.had.frames} held-out frames; {self.minutes:.1f} minutes{hourly}")
        return "\n".join([*lines, *(f"warning: {one}" for one in self.warnings())])

    def _both(self) -> tuple[Figures, Figures]:
        return self.had, self.has


def _share(value: float) -> str:
    return "-" if math.isnan(value) else f"{100 * value:.1f} %"
