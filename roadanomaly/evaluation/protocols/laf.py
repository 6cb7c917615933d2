"""All of LostAndFound's test, on its road, with ObstacleTrack's component sizes."""

from roadanomaly.evaluation.protocols.base import Protocol

PROTOCOL = Protocol(
    name="laf",
    source="Chan et al., SegmentMeIfYouCan, NeurIPS 2021; its tool road-anomaly-benchmark, 1c7804e",
    track="obstacle",
    on_ground=True,
)
