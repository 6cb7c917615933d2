"""What a score map is worth: the benchmark's numbers and exact ones, as mergeable accumulators."""

from roadanomaly.metrics.alarms import AlarmResult, Alarms
from roadanomaly.metrics.classes import ClassConfusion, ClassResult
from roadanomaly.metrics.component import ComponentResult, Components
from roadanomaly.metrics.curve import PixelResult
from roadanomaly.metrics.exact import PixelExact
from roadanomaly.metrics.frames import score_frames
from roadanomaly.metrics.pixel import PixelOfficial

__all__ = [
    "AlarmResult",
    "Alarms",
    "ClassConfusion",
    "ClassResult",
    "ComponentResult",
    "Components",
    "PixelExact",
    "PixelOfficial",
    "PixelResult",
    "score_frames",
]
