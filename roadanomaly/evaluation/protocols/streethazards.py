"""StreetHazards: each image by itself, averaged; open-mIoU with the other town's threshold."""

from roadanomaly.evaluation.protocols.base import Protocol

PROTOCOL = Protocol(
    name="streethazards",
    source="Hendrycks et al., ICML 2022 (means over images); open-mIoU: Grcic et al., DenseHybrid, "
    "ECCV 2022, section 5",
    averaging="per image",
    further=("per image", "open set"),
    towns=("t5_", "t6_"),
)
