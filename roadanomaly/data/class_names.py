"""Class names of the sets, and the maps between them."""

from __future__ import annotations

CITYSCAPES: tuple[str, ...] = (
    "road",
    "sidewalk",
    "building",
    "wall",
    "fence",
    "pole",
    "traffic light",
    "traffic sign",
    "vegetation",
    "terrain",
    "sky",
    "person",
    "rider",
    "car",
    "truck",
    "bus",
    "train",
    "motorcycle",
    "bicycle",
)
"""The 19 Cityscapes train ids, in order."""

CITYSCAPES_SHARES: tuple[float, ...] = (
    0.368697,
    0.060850,
    0.228240,
    0.006554,
    0.008773,
    0.012273,
    0.002078,
    0.005513,
    0.159286,
    0.011578,
    0.040190,
    0.012190,
    0.001351,
    0.069945,
    0.002675,
    0.002352,
    0.002329,
    0.000987,
    0.004139,
)
"""Share of each train id among the labelled pixels of Cityscapes' 2,975 training images.

Taken from the class weights `1 / ln(1.02 + share)` (Paszke et al., 2016, ENet, section 5.2) as
public trainings on Cityscapes carry them.
"""

CAMVID: tuple[str, ...] = (
    "sky",
    "building",
    "pole",
    "road",
    "pavement",
    "tree",
    "sign symbol",
    "fence",
    "car",
    "pedestrian",
    "bicyclist",
)
"""The 11 CamVid classes of SegNet's grouping, in the order of its label files; 11 is void."""
