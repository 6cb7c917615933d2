"""The embedded streets, scored as AnomalyTrack."""

from roadanomaly.evaluation.protocols.base import Protocol

PROTOCOL = Protocol(
    name="streets",
    source="as SegmentMeIfYouCan scores AnomalyTrack",
)
