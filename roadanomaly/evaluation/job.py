"""What an evaluation is asked to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from roadanomaly.calibration import Calibration
from roadanomaly.data.base import FrameSet
from roadanomaly.evaluation.protocols import Protocol
from roadanomaly.evaluation.sources import ScoreSource

MODES = ("official", "exact", "both")


@dataclass(frozen=True)
class Job:
    """One source of scores on one data set.

    Args:
        source: of the scores.
        frames: labelled frames.
        protocol: how they are scored.
        mode: `official`, `exact` or `both`.
        track: size rules of components; empty takes the protocol's.
        rates: false-positive rates of the calibrated thresholds; empty takes the model's own.
        calibrations: fitted on validation sets, by detector, beside what the models know.
        seed: of detectors that draw numbers; each frame begins anew from it.
        batch: frames that are scored together, at most; only those of one size are.
    """

    source: ScoreSource
    frames: FrameSet
    protocol: Protocol
    mode: str = "both"
    track: str = ""
    rates: tuple[float, ...] = ()
    calibrations: Mapping[str, Sequence[Calibration]] = field(default_factory=dict)
    seed: int = 0
    batch: int = 1

    @property
    def detectors(self) -> tuple[str, ...]:
        """Their names, in the order of the table."""
        return tuple(self.source.supervision)

    @property
    def sizes(self) -> str:
        """The track whose component sizes count."""
        return self.track or self.protocol.track
