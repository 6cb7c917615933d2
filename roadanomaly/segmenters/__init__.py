"""Closed-set segmentation networks, by short name."""

from roadanomaly.catalogue import Catalogue
from roadanomaly.segmenters.base import FeatureInfo, Segmenter

SEGMENTERS: Catalogue[Segmenter] = Catalogue(
    "segmenter",
    {
        "espnetv2": "roadanomaly.segmenters.espnetv2:ESPNetv2",
        "smp": "roadanomaly.segmenters.smp:SmpSegmenter",
    },
)

__all__ = ["SEGMENTERS", "FeatureInfo", "Segmenter"]
