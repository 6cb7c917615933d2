"""JSRNet: its labels, its loss, and what it needs of a network."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

import roadanomaly
from roadanomaly.data import DATASETS
from roadanomaly.detectors.road.ground_labels import (
    ANOMALY,
    NEITHER,
    NORMAL,
    GroundLabels,
    reconstruction_loss,
    two_way_loss,
)
from roadanomaly.detectors.road.reconstruction import RoadReconstruction, nearest_feature
from roadanomaly.errors import FeatureError, OptionError
from roadanomaly.model import Model
from roadanomaly.types import IGNORE, NEGATIVE
from tests.contracts import toy
from tests.contracts.tiny import network

CLASSES = ("road", "sidewalk", "building", "sky", "car")


def test_road_is_normal_building_counts_for_nothing_and_all_else_is_an_anomaly():
    label = torch.tensor([[[0, 1, 2, 3, 4, NEGATIVE, IGNORE]]], dtype=torch.uint8)
    found = GroundLabels(CLASSES, None, None).targets(label)
    expected = [NORMAL, NORMAL, NEITHER, NEITHER, ANOMALY, ANOMALY, NEITHER]
    assert found.tolist() == [[expected]]


def test_void_is_never_an_anomaly(tmp_path):
    """Cityscapes' id -1, which 8 bits store as 255, and its void ids 0 to 6 teach nothing."""
    ids = np.array([[255, 0, 1, 2, 3, 4, 5, 6, 7, 26]], np.uint8).repeat(16, 0)
    for folder, what in (("leftImg8bit", "leftImg8bit"), ("gtFine", "gtFine_labelIds")):
        path = tmp_path / folder / "train/aachen" / f"aachen_000000_000019_{what}.png"
        path.parent.mkdir(parents=True)
        assert cv2.imwrite(str(path), ids)
    frames = DATASETS.build("cityscapes", {"root": str(tmp_path)})
    target = GroundLabels(frames.classes, None, None).targets(frames[0].label[None])
    assert target[0, 0].tolist() == [NEITHER] * 8 + [NORMAL, ANOMALY]


def test_classes_are_chosen_by_name_or_index():
    labels = GroundLabels(CLASSES, ["road"], [1, "car"])
    label = torch.arange(5, dtype=torch.uint8)[None, None]
    assert labels.targets(label)[0, 0].tolist() == [NORMAL, NEITHER, ANOMALY, ANOMALY, NEITHER]
    assert labels.predicted(label.long())[0, 0].tolist() == [True, False, False, False, False]


@pytest.mark.parametrize(
    ("classes", "normal", "ignored", "said"),
    [
        (("cat", "dog"), None, None, "normal"),
        (CLASSES, ["rode"], None, "road"),
        (CLASSES, [5], None, "5"),
        (CLASSES, ["road"], ["road"], "both"),
    ],
)
def test_wrong_classes_are_refused(classes, normal, ignored, said):
    with pytest.raises(OptionError, match=said):
        GroundLabels(classes, normal, ignored)


def test_the_reconstruction_is_good_on_the_road_and_bad_elsewhere():
    error = torch.tensor([[[0.2, 0.0005, 0.7, 0.9995, 0.5]]])
    target = torch.tensor([[[NORMAL, NORMAL, ANOMALY, ANOMALY, NEITHER]]])
    expected = (0.199 + 0) / 2 + (0.299 + 0) / 2
    assert reconstruction_loss(error, target).item() == pytest.approx(expected)


def test_cross_entropy_is_the_mean_over_what_is_labelled():
    outputs = torch.tensor([[1.0, 0.0], [0.0, 0.0], [2.0, -1.0]]).T[None, :, None]
    target = torch.tensor([[[ANOMALY, NORMAL, NEITHER]]])
    expected = (np.log(1 + np.exp(-1)) + np.log(2)) / 2
    assert two_way_loss(outputs, target).item() == pytest.approx(expected)


def test_the_last_relu_decides_whether_outputs_are_negative():
    image = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    for last_relu in (True, False):
        detector = roadanomaly.detector("jsrnet", last_relu=last_relu)
        segmenter = toy.ToySegmenter()
        detector.attach(segmenter)
        segmentation = segmenter(image, detector.needs)
        outputs = detector.couple(segmentation, torch.zeros(2, 64, 96))
        assert (outputs >= 0).all() == last_relu


def test_there_is_a_block_for_every_halving():
    for stride, blocks in ((2, 1), (8, 3), (14, 4), (16, 4), (32, 5)):
        network = RoadReconstruction(5, stride, 4, 8, (12, 10, 8, 6)).eval()
        assert len(network.blocks) == blocks
        assert network(torch.rand(1, 5, 3, 4)).shape == (1, 3, 3 * 2**blocks, 4 * 2**blocks)


def test_it_takes_the_feature_of_stride_16():
    assert nearest_feature(network("espnetv2")) == "encoder16"
    model = Model(network("espnetv2"), roadanomaly.detector("jsrnet", width=8))
    assert model.detector.needs == ("encoder16",)
    with pytest.raises(FeatureError, match="no features"):
        Model(network("torchscript"), roadanomaly.detector("jsrnet"))
