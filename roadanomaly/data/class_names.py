"""Class names of the sets, and the maps between them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

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


def difference(one: str, classes: Sequence[str], other: str, others: Sequence[str]) -> str:
    """Say how two lists of classes differ; empty where they are the same in the same order.

    Args:
        one: what has the first list, in words.
        classes: the first list.
        other: what has the second list.
        others: the second list.

    >>> difference("the data set", ("road", "sky"), "the segmenter", ("road", "car", "sky"))
    "the data set has 2 classes and the segmenter 3, and number 1 is 'sky' there and 'car' here"
    >>> difference("the data set", (), "the segmenter", ("road",))
    "the data set has no classes and the segmenter 1, and number 0 is none there and 'road' here"
    """
    pairs = enumerate(zip_longest(map(repr, classes), map(repr, others), fillvalue="none"))
    for number, (there, here) in pairs:
        if there != here:
            return (
                f"{one} has {len(classes) or 'no'} classes and {other} {len(others)}, and number "
                f"{number} is {there} there and {here} here"
            )
    return ""
