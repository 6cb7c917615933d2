"""COCO pictures as scenes, scored as AnomalyTrack: a held-out world, no benchmark."""

from roadanomaly.evaluation.protocols.base import Protocol

PROTOCOL = Protocol(
    name="coco_scenes",
    source="as SegmentMeIfYouCan scores AnomalyTrack",
)
