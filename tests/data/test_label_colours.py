"""What comes back from CVAT is what was sent there, and what was drawn there by its name."""

from __future__ import annotations

import zipfile

import cv2
import numpy as np
import pytest
import torch

from roadanomaly.data.folder import Folder
from roadanomaly.errors import DataError
from roadanomaly.exchange.cvat import CvatArchive
from roadanomaly.objects import find_components
from roadanomaly.types import INLIER, NEGATIVE


def masks(count=3, shape=(20, 30)):
    rng = np.random.default_rng(0)
    return [find_components(rng.random(shape), 0.8 + (n == 2)) for n in range(count)]


@pytest.fixture
def export(tmp_path):
    """Write images, and an archive with their masks unpacked; the last shows nothing."""
    (tmp_path / "images").mkdir()
    archive = CvatArchive(tmp_path)
    for number, (mask, components) in enumerate(masks()):
        cv2.imwrite(str(tmp_path / f"images/{number}.png"), np.zeros((*mask.shape, 3), np.uint8))
        archive.add(f"{number}.png", mask, components)
    archive.close()
    with zipfile.ZipFile(tmp_path / "cvat.zip") as file:
        file.extractall(tmp_path)
    return tmp_path


def test_masks_come_back_as_they_went(export):
    frames = list(Folder(root=export))
    for frame, (mask, _) in zip(frames, masks(), strict=True):
        np.testing.assert_array_equal(frame.truth.numpy(), mask)
    frames = list(Folder(root=export, kind="classes"))
    for frame, (mask, _) in zip(frames, masks(), strict=True):
        np.testing.assert_array_equal(frame.label.numpy(), np.where(mask, NEGATIVE, INLIER))


def test_an_image_that_is_listed_without_a_mask_is_background(export):
    (export / "SegmentationClass/2.png").unlink()
    assert torch.equal(Folder(root=export)[2].truth, torch.zeros(20, 30, dtype=torch.uint8))
    (export / "ImageSets/Segmentation/default.txt").write_text("0\n1\n")
    with pytest.raises(DataError, match="1 of 3 images have no label"):
        Folder(root=export)


def test_labels_are_read_by_their_names(export):
    path = export / "labelmap.txt"
    path.write_text(path.read_text() + "ignore:1,2,3::\nroad:4,5,6::\n")
    picture = np.zeros((20, 30, 3), np.uint8)
    picture[:5], picture[5:9] = (3, 2, 1), (6, 5, 4)
    cv2.imwrite(str(export / "SegmentationClass/0.png"), picture)
    label = Folder(root=export, kind="classes", classes=("sky", "road"))[0].label
    assert [label[row, 0].item() for row in (0, 5, 9)] == [255, 1, INLIER]
    with pytest.raises(DataError, match="'road', which has no meaning here"):
        Folder(root=export)


def test_broken_exports_say_what_is_wrong(export):
    path = export / "labelmap.txt"
    good = path.read_text()
    path.write_text("background:0,0::\n")
    with pytest.raises(DataError, match="name:red,green,blue"):
        Folder(root=export)
    path.write_text("background:0,0,0::\nanomaly:0,0,0::\n")
    with pytest.raises(DataError, match="each needs its own"):
        Folder(root=export)
    path.write_text(good)
    picture = np.full((20, 30, 3), (7, 8, 9), np.uint8)
    cv2.imwrite(str(export / "SegmentationClass/0.png"), picture)
    with pytest.raises(DataError, match="colour 9,8,7, which labelmap"):
        Folder(root=export)[0]
