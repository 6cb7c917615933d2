"""Cityscapes, which shows no anomaly: closed mIoU, and what inliers score."""

from roadanomaly.evaluation.protocols.base import Protocol

PROTOCOL = Protocol(
    name="cityscapes",
    source="closed mIoU over the classes that are labelled",
)
