"""Closed-set segmentation networks, by short name."""

from roadanomaly.catalogue import Catalogue
from roadanomaly.segmenters.base import FeatureInfo, Segmenter

SEGMENTERS: Catalogue[Segmenter] = Catalogue(
    "segmenter",
    {
        "deeplab_wrn38": "roadanomaly.segmenters.deeplab_wrn38:DeepLabWrn38",
        "espnetv2": "roadanomaly.segmenters.espnetv2:ESPNetv2",
        "ladder_densenet": "roadanomaly.segmenters.ladder_densenet:LadderDenseNet",
        "mmseg": "roadanomaly.segmenters.mmseg:MmsegSegmenter",
        "onnx": "roadanomaly.segmenters.onnx:OnnxSegmenter",
        "sliding": "roadanomaly.segmenters.sliding:SlidingSegmenter",
        "smp": "roadanomaly.segmenters.smp:SmpSegmenter",
        "torchscript": "roadanomaly.segmenters.torchscript:TorchScriptSegmenter",
        "torchvision": "roadanomaly.segmenters.torchvision:TorchvisionSegmenter",
        "transformers": "roadanomaly.segmenters.transformers:TransformersSegmenter",
    },
)

__all__ = ["SEGMENTERS", "FeatureInfo", "Segmenter"]
