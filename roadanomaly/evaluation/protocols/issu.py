"""ISSU: SegmentMeIfYouCan's numbers, TPR at 5 % FPR, and components by ranges of sizes."""

from roadanomaly.evaluation.protocols.base import Protocol
from roadanomaly.metrics.size_ranges import SizeRange

PROTOCOL = Protocol(
    name="issu",
    source="Laskar et al., CVPR 2025: TPR at 5 % FPR, size limits as [low, high); the limits here "
    "are COCO's 32 and 96 squared, since those of its code could not be read",
    track="anomaly",
    further=("TPR at 5 % FPR", "size ranges"),
    region="track",
    size_ranges={
        "small": SizeRange(0, 32**2),
        "medium": SizeRange(32**2, 96**2),
        "large": SizeRange(96**2),
    },
)
