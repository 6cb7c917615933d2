"""Score models in a world, as an evaluation scores a set."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from roadanomaly.evaluation.evaluate import evaluate
from roadanomaly.evaluation.job import Job
from roadanomaly.evaluation.protocols import Protocol
from roadanomaly.evaluation.sources import NetworkScores
from roadanomaly.evaluation.worlds.result import WorldResult, result_of
from roadanomaly.evaluation.worlds.world import World
from roadanomaly.model import Model
from roadanomaly.types import Frame

PROTOCOL = Protocol(name="world", source="exact, with the component sizes of AnomalyTrack")
ON_A_GPU = 4
"""Frames together."""


def score_world(
    model: Model, world: World, step: Callable[[], object] | None = None
) -> WorldResult:
    """Score a model in a world.

    Args:
        model: on its device; its own precision and calibration are taken. It is put into inference
            mode.
        world: of `open_world`, or built by hand.
        step: called once a frame.

    Raises:
        DataError: a frame has no truth, or cannot be read or scored.
    """
    return score_together({"model": model}, world, step)["model"]


def score_together(
    models: Mapping[str, Model], world: World, step: Callable[[], object] | None = None
) -> dict[str, WorldResult]:
    """Score models whose segmenters are equal: frames are read once, and segmented once.

    Args:
        models: by name; the first one's segmenter and precision serve all.
        world: of `open_world`, or built by hand.
        step: called once a frame.

    Raises:
        DataError: a frame has no truth, or cannot be read or scored.
    """
    for model in models.values():
        model.eval()
    first = next(iter(models.values()))
    heads = {name: model.head for name, model in models.items()}
    calibrations = {name: model.calibration for name, model in models.items()}
    source = NetworkScores(first.segmenter, heads, calibrations, precision=first.precision)
    batch = ON_A_GPU if first.device.type == "cuda" else 1
    job = Job(source, world.frames, PROTOCOL, mode="exact", batch=batch)

    def seen(number: int, frame: Frame, scores: dict[str, np.ndarray]) -> None:
        del number, frame, scores
        if step:
            step()

    return {
        found.detector: result_of(world.name, found, calibrations[found.detector])
        for found in evaluate(job, seen=seen)
    }
