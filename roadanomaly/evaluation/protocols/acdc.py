"""ACDC in fog, at night, in rain and snow: closed mIoU, and what inliers score."""

from roadanomaly.evaluation.protocols.base import Protocol

PROTOCOL = Protocol(
    name="acdc",
    source="closed mIoU over the classes that are labelled",
)
