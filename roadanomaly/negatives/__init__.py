"""Sources of content that is no inlier, by short name."""

from roadanomaly.catalogue import Catalogue
from roadanomaly.negatives.base import NegativeSource

NEGATIVES: Catalogue[NegativeSource] = Catalogue(
    "negative source",
    {
        "flow": "roadanomaly.negatives.flow:FlowSamples",
        "laa": "roadanomaly.negatives.laa:LocalAttack",
        "label_swap": "roadanomaly.negatives.label_swap:LabelSwap",
        "mixture": "roadanomaly.negatives.mixture:Mixture",
        "noise": "roadanomaly.negatives.noise:Noise",
        "paste": "roadanomaly.negatives.paste:Paste",
        "perlin": "roadanomaly.negatives.perlin:Perlin",
        "road_obstacles": "roadanomaly.negatives.road_obstacles:RoadObstacles",
        "shapes": "roadanomaly.negatives.shapes:Shapes",
        "street_objects": "roadanomaly.negatives.street_objects:StreetObjects",
        "whole_pictures": "roadanomaly.negatives.whole_pictures:WholePictures",
    },
)

__all__ = ["NEGATIVES", "NegativeSource"]
