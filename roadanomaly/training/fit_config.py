"""Everything that decides a fit, flat and typed."""

from __future__ import annotations

from dataclasses import dataclass

from jsonargparse.typing import PositiveInt

from roadanomaly.fitting import HELD_OUT
from roadanomaly.training.run_config import Part


@dataclass(frozen=True, kw_only=True)
class FitConfig:
    """Statistics of a detector and of refiners, and a threshold, from inlier frames.

    Args:
        data: labelled inlier frames to fit on; on the command line one word will do: a name of the
            catalogue, or a folder or glob of ordinary frames.
        run: run folder, or name of a model of the package, to take segmenter and detector from.
        segmenter: instead of a model's.
        detector: instead of the model's own.
        refiners: of the score, a list: '[{name: smooth, window: 11}]'; instead of the run's own,
            but behind the correction that `adapt` taught a model, which stays.
        negatives: put into the fitting frames, for a detector that learns from labelled anomalies.
        calibration_data: default: the same set's split `val`, or the set itself where it has no
            splits; a word as for `data`.
        validation_data: with anomalies: its best F1 is kept too.
        held_out: share of the frames that a detector fits nothing on but its held-out passes.
        false_alarms: rate of the threshold: share of inlier pixels that may exceed it.
        false_objects: in its place, how many false objects a frame, of at least 500 pixels, the
            threshold may leave on the calibration frames, which show no anomaly.
        size: height and width to bring frames to.
        limit: frames of each set, evenly spaced, to try on; all if not given.
        precision: of the networks: f32, exact; or bf16 or f16, faster on a GPU, by autocast.
        batch: frames of one size together; auto: 1 on a CPU, more on a GPU.
        seed: of the draw of calibration pixels.
        out: run folder.
    """

    data: Part
    run: str | None = None
    segmenter: Part | None = None
    detector: Part | None = None
    refiners: list[Part] | None = None
    negatives: Part | None = None
    calibration_data: Part | None = None
    validation_data: Part | None = None
    held_out: float = HELD_OUT
    false_alarms: float = 0.01
    false_objects: float | None = None
    size: tuple[int, int] | None = None
    limit: PositiveInt | None = None
    precision: str = "f32"
    batch: str = "auto"
    seed: int = 0
    out: str = "runs/fit"
