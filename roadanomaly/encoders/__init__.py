"""Pyramids of feature maps out of images: for perceptual distances and discrepancy networks."""

from roadanomaly.catalogue import Catalogue
from roadanomaly.encoders.base import Encoder

ENCODERS: Catalogue[Encoder] = Catalogue(
    "encoder",
    {
        "segmenter": "roadanomaly.encoders.segmenter:SegmenterEncoder",
        "timm": "roadanomaly.encoders.timm:TimmEncoder",
        "vgg": "roadanomaly.encoders.vgg:VggEncoder",
    },
)

__all__ = ["ENCODERS", "Encoder"]
