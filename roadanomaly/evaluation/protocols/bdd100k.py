"""BDD100K: closed mIoU, and what inliers score."""

from roadanomaly.evaluation.protocols.base import Protocol

PROTOCOL = Protocol(
    name="bdd100k",
    source="closed mIoU over the classes that are labelled",
)
