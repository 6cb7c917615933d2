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

PACKAGED = {"name": "timm", "model": "tf_efficientnet_lite0", "weights": "efficientnet_lite0"}
"""Of the encoders with ImageNet weights, the one that needs no download."""

__all__ = ["ENCODERS", "PACKAGED", "Encoder"]
