"""AnomalyTrack as SegmentMeIfYouCan scores it: pooled, components from 500 and 100 pixels."""

from roadanomaly.evaluation.protocols.base import Protocol

PROTOCOL = Protocol(
    name="smiyc-anomaly",
    source="Chan et al., SegmentMeIfYouCan, NeurIPS 2021; its tool road-anomaly-benchmark, 1c7804e",
    track="anomaly",
)
