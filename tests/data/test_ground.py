"""The road region of a labelled frame, drawn by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from roadanomaly.data.base import FrameSet
from roadanomaly.data.derived import Resized
from roadanomaly.data.ground import OnGround, ground_classes, ground_region
from roadanomaly.data.subset import Subset
from roadanomaly.errors import DataError
from roadanomaly.types import IGNORE, NEGATIVE, Frame


class Scene(FrameSet):
    """Sky above, road below; a box stands on the road's edge, one hangs in the sky."""

    classes = ("road", "sky")
    source = licence = "made up"

    def __len__(self):
        return 2

    def __getitem__(self, index):
        label = np.ones((40, 60), np.uint8)
        label[20:] = 0
        label[12:24, 9:21], label[13:23, 10:20] = IGNORE, NEGATIVE
        label[2:8, 40:50] = NEGATIVE
        return Frame(str(index), torch.zeros(3, 40, 60, dtype=torch.uint8), torch.tensor(label))

    def record(self):
        return {"name": "scene"}


def test_the_region_is_the_road_and_whole_anomalies_on_it():
    region = ground_region(Scene()[0].label.numpy(), (0,))
    expected = np.zeros((40, 60), bool)
    expected[20:] = True
    expected[12:24, 9:21] = False
    expected[13:23, 10:20] = True
    assert np.array_equal(region, expected)


def test_truth_off_the_road_is_ignored_and_classes_stay():
    frames = OnGround(Scene())
    frame = frames[1]
    assert torch.equal(frame.label, Scene()[1].label)
    truth = frame.truth.numpy()
    assert (truth[13:23, 10:20] == 1).all()
    assert np.count_nonzero(truth == 1) == 100
    assert (truth[:12] == IGNORE).all()
    assert np.count_nonzero(truth == 0) == 20 * 60 - 4 * 12
    assert frames.record()["region"] == "road"


def test_names_of_the_ground_are_known_in_any_case():
    assert ground_classes(("Road", "building", "Pavement", "sidewalk")) == (0, 2, 3)


def test_a_set_without_roads_is_refused():
    class Other(Scene):
        classes = ("cat", "dog")

    with pytest.raises(DataError, match="road region of scene"):
        OnGround(Other())


def test_derived_sets_stand_for_the_whole():
    frames = Resized(Subset(Scene(), 1), (20, 30))
    assert frames.frame_ids() == ["0"]
    assert frames[0].label.shape == (20, 30)
    assert frames.record() == {"name": "scene", "used": 1, "size": [20, 30]}
