"""What a score map is worth: the benchmark's numbers and exact ones, as mergeable accumulators."""

from roadanomaly.metrics.classes import ClassConfusion, ClassResult
from roadanomaly.metrics.component import ComponentResult, Components
from roadanomaly.metrics.frames import score_frames
from roadanomaly.metrics.pixel import PixelExact, PixelOfficial, PixelResult

__all__ = [
    "ClassConfusion",
    "ClassResult",
    "ComponentResult",
    "Components",
    "PixelExact",
    "PixelOfficial",
    "PixelResult",
    "score_frames",
]
