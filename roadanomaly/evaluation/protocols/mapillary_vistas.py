"""Mapillary Vistas 1.2 mapped to Cityscapes' classes: closed mIoU, and what inliers score."""

from roadanomaly.evaluation.protocols.base import Protocol

PROTOCOL = Protocol(
    name="mapillary-vistas",
    source="closed mIoU over the classes that are labelled",
)
