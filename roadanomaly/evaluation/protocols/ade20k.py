"""ADE20K mapped to Cityscapes' classes: closed mIoU, and what inliers score."""

from roadanomaly.evaluation.protocols.base import Protocol

PROTOCOL = Protocol(
    name="ade20k",
    source="closed mIoU over the classes that are labelled",
)
