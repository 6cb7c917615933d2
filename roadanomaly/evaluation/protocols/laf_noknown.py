"""LostAndFound-testNoKnown, which SegmentMeIfYouCan ranks: no children, no bicycles."""

from roadanomaly.evaluation.protocols.base import Protocol

PROTOCOL = Protocol(
    name="laf-noknown",
    source="Chan et al., SegmentMeIfYouCan, NeurIPS 2021; its tool road-anomaly-benchmark, 1c7804e",
    track="obstacle",
    on_ground=True,
)
