"""Five disjoint meanings of a label, asked in one place: what counts where, and what does not."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from roadanomaly.data.camvid import CamVid
from roadanomaly.data.folder import Folder
from roadanomaly.detectors.hybrid.densehybrid import DenseHybrid
from roadanomaly.detectors.road.ground_labels import NEITHER, GroundLabels
from roadanomaly.generators.base import one_hot
from roadanomaly.metrics.classes import ClassConfusion
from roadanomaly.negatives.blending import mark
from roadanomaly.segmenters.closed_set import closed_set_cross_entropy, labels_at
from roadanomaly.types import IGNORE, INLIER, NEGATIVE, VOID, Batch, Frame, is_inlier, is_known
from tests import layouts
from tests.contracts import toy

MEANINGS = torch.tensor([[0, 1, INLIER, VOID, NEGATIVE, IGNORE]], dtype=torch.uint8)


def test_what_is_known_what_is_an_inlier_and_what_counts_as_truth():
    assert is_known(MEANINGS).tolist() == [[True, True, False, False, False, False]]
    assert is_inlier(MEANINGS).tolist() == [[True, True, True, False, False, False]]
    frame = Frame("a", torch.zeros(3, 1, 6, dtype=torch.uint8), MEANINGS)
    assert frame.truth.tolist() == [[0, 0, 0, 255, 1, 255]]


def labelled() -> tuple:
    """A segmentation of random images, and a batch whose label repeats all meanings in blocks."""
    batch = toy.inliers(2, 0)
    height, width = batch.label.shape[1:]
    rows, columns = torch.arange(height)[:, None] // 4, torch.arange(width)[None] // 4
    label = MEANINGS[0][(rows + columns) % MEANINGS.shape[1]].expand(2, -1, -1)
    found = toy.ToySegmenter()(batch.image, ("colour",))
    return found, Batch(batch.image, label, batch.ids)


def picked(log_p: torch.Tensor, target: torch.Tensor) -> float:
    """Mean of `-log_p` at the target, over pixels with a target of 0 or 1."""
    return torch.cat([-log_p[:, k][target == k] for k in (0, 1)]).mean().item()


def test_cross_entropy_skips_all_that_is_of_no_known_class():
    found, batch = labelled()
    expected = picked(found.logits.detach().log_softmax(1), labels_at(batch.label, found))
    assert closed_set_cross_entropy(found, batch.label).item() == pytest.approx(expected, rel=1e-5)


def test_the_dataset_posterior_takes_inliers_of_unknown_class_and_no_void():
    detector = DenseHybrid(features=["colour"], beta=0.1)
    detector.attach(toy.ToySegmenter())
    detector.eval()
    found, batch = labelled()
    label = labels_at(batch.label, found)
    target = torch.full(label.shape, -1)
    target[is_inlier(label)] = 0
    target[label == NEGATIVE] = 1
    assert set(label[target == 0].tolist()) == {0, 1, INLIER}
    expected = 10 * 0.1 * picked(detector.log_posterior(found).detach(), target)
    assert detector.loss(found, batch)["posterior"].item() == pytest.approx(expected, rel=1e-5)


def test_road_detectors_generators_and_mean_iou_leave_them_out():
    ground = GroundLabels(("road", "sidewalk", "car"), None, None)
    assert (ground.targets(MEANINGS[None])[0, 0, [2, 3, 5]] == NEITHER).all()
    assert one_hot(MEANINGS[None], 2)[0, 2, 0].tolist() == [0, 0, 1, 1, 1, 1]
    confusion = ClassConfusion(("road", "car"))
    confusion.update(np.zeros((1, 6), np.uint8), MEANINGS.numpy())
    assert confusion.compute().confusion.sum() == 2


def test_what_is_pasted_over_an_ordinary_frame_is_negative_and_its_rim_counts_for_nothing():
    label = np.full((40, 40), INLIER, np.uint8)
    alpha = np.zeros((20, 20), np.float32)
    alpha[5:15, 5:15] = 1
    alpha[4, 5:15] = 0.3
    found = mark(label, alpha, 10, 10)
    assert (found[15:25, 15:25] == NEGATIVE).all()
    assert (found[14, 15:25] == IGNORE).all()


def test_camvid_gives_void_only_when_it_is_asked(tmp_path):
    root = layouts.camvid(tmp_path)
    plain, asked = CamVid("train", root)[0].label, CamVid("train", root, void="label")[0].label
    assert VOID not in plain
    assert ((asked == VOID) == (plain == IGNORE)).all()
    assert (asked == VOID).any()


def test_any_folder_of_frames_can_be_read_as_ordinary(tmp_path):
    layouts.write_photo(tmp_path / "images" / "a.png", 0)
    frames = Folder(tmp_path / "images", kind="ordinary")
    assert (frames[0].label == INLIER).all()
    assert (frames[0].truth == 0).all()
    assert len(frames.classes) == 19
    assert frames.record()["labels"] == "ordinary"
