"""Mapillary Vistas 2.0 mapped to Cityscapes' classes: closed mIoU, and what inliers score."""

from roadanomaly.evaluation.protocols.base import Protocol

PROTOCOL = Protocol(
    name="mapillary-vistas-v2",
    source="closed mIoU over the classes that are labelled",
)
