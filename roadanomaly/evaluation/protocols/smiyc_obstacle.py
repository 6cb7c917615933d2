"""ObstacleTrack as SegmentMeIfYouCan scores it: on the road, components from 50 and 10 pixels."""

from roadanomaly.evaluation.protocols.base import Protocol

PROTOCOL = Protocol(
    name="smiyc-obstacle",
    source="Chan et al., SegmentMeIfYouCan, NeurIPS 2021; its tool road-anomaly-benchmark, 1c7804e",
    track="obstacle",
    on_ground=True,
)
