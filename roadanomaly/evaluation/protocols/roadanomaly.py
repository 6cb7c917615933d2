"""RoadAnomaly, pooled, with AnomalyTrack's component sizes."""

from roadanomaly.evaluation.protocols.base import Protocol

PROTOCOL = Protocol(
    name="roadanomaly",
    source="Lis et al., ICCV 2019, scored by later work as SegmentMeIfYouCan scores AnomalyTrack",
    track="anomaly",
)
