"""Colours of classes: held to Cityscapes' own table, and named by the legend."""

import numpy as np
import pytest

from roadanomaly.data.class_names import CAMVID, CITYSCAPES
from roadanomaly.data.streethazards import CLASSES as STREETHAZARDS
from roadanomaly.report.class_colours import LINE, class_legend, class_palette, class_picture

SAME = {
    "pavement": "sidewalk",
    "tree": "vegetation",
    "sign symbol": "traffic sign",
    "pedestrian": "person",
    "bicyclist": "bicycle",
}
"""What CamVid calls otherwise than Cityscapes."""


@pytest.fixture(scope="module")
def official():
    """Return Cityscapes' colours by name, as torchvision lists them."""
    cityscapes = pytest.importorskip("torchvision.datasets").Cityscapes
    return {one.name: one.color for one in cityscapes.classes if 0 <= one.train_id < 19}


def test_cityscapes_classes_have_its_colours(official):
    assert len(official) == len(CITYSCAPES) == 19
    drawn = class_picture(np.arange(19, dtype=np.uint8)[None], CITYSCAPES)[0]
    assert {name: tuple(colour) for name, colour in zip(CITYSCAPES, drawn, strict=True)} == official


def test_camvid_classes_have_the_colours_of_what_they_mean(official):
    palette = class_palette(CAMVID)
    assert [tuple(one) for one in palette] == [official[SAME.get(one, one)] for one in CAMVID]


def test_other_classes_keep_away_from_those_of_cityscapes(official):
    palette = dict(zip(STREETHAZARDS, class_palette(STREETHAZARDS).astype(int), strict=True))
    known = {one: official[SAME.get(one, one)] for one in palette if SAME.get(one, one) in official}
    assert set(palette) - set(known) == {"unlabeled", "road line"}
    for name, colour in palette.items():
        if name in known:
            assert tuple(colour) == known[name]
        else:
            assert min(np.abs(colour - other).sum() for other in known.values()) > 40


@pytest.mark.parametrize("names", [("person", "pedestrian", "tree"), [f"c{i}" for i in range(150)]])
def test_two_classes_of_a_set_never_share_a_colour(names):
    assert len(np.unique(class_palette(names), axis=0)) == len(names)


def test_what_is_no_class_is_grey():
    drawn = class_picture(np.array([[3, 19, 252, 255]], np.uint8), CITYSCAPES)[0]
    assert np.ptp(drawn[1:], axis=1).tolist() == [0, 0, 0]
    assert np.ptp(drawn[0]) > 0


def test_the_legend_shows_each_class_in_its_line():
    legend = class_legend(CAMVID)
    lines = legend.reshape(len(CAMVID), LINE, *legend.shape[1:])
    for line, colour in zip(lines, class_palette(CAMVID), strict=True):
        assert (line[4:-4, 5:23] == colour).all()
        assert (line[:, 28:] < 128).any()  # its name
        assert (line[:, -3:] == 255).all()  # which is not cut off
