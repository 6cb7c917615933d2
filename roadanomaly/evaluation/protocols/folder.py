"""A folder of one's own, scored as AnomalyTrack."""

from roadanomaly.evaluation.protocols.base import Protocol

PROTOCOL = Protocol(
    name="folder",
    source="as SegmentMeIfYouCan scores AnomalyTrack",
)
