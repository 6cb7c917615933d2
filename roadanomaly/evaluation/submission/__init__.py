"""What each benchmark accepts, by the name that `export submission --for` takes."""

from __future__ import annotations

from roadanomaly.evaluation.submission.base import Submission
from roadanomaly.evaluation.submission.fishyscapes import Fishyscapes
from roadanomaly.evaluation.submission.hdf5 import LostAndFound, SmiycAnomaly, SmiycObstacle
from roadanomaly.evaluation.submission.oodis import Oodis

BENCHMARKS: dict[str, type[Submission]] = {
    "smiyc-anomaly": SmiycAnomaly,
    "smiyc-obstacle": SmiycObstacle,
    "laf": LostAndFound,
    "fishyscapes": Fishyscapes,
    "oodis": Oodis,
}

__all__ = ["BENCHMARKS", "Submission"]
