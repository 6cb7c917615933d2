"""The label tables against the facts that the sets publish."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from roadanomaly.data.class_maps import (
    CAMVID_IDS,
    CAMVID_TO_CITYSCAPES,
    CITYSCAPES_LABEL_IDS,
    CITYSCAPES_TO_CAMVID,
    CITYSCAPES_TRAIN_IDS,
    UNDEFINED,
    remap,
    table,
)
from roadanomaly.data.class_names import CAMVID, CITYSCAPES
from roadanomaly.errors import DataError

# label id, train id and name as Cityscapes publishes them
EVALUATED = {
    7: (0, "road"),
    8: (1, "sidewalk"),
    11: (2, "building"),
    12: (3, "wall"),
    13: (4, "fence"),
    17: (5, "pole"),
    19: (6, "traffic light"),
    20: (7, "traffic sign"),
    21: (8, "vegetation"),
    22: (9, "terrain"),
    23: (10, "sky"),
    24: (11, "person"),
    25: (12, "rider"),
    26: (13, "car"),
    27: (14, "truck"),
    28: (15, "bus"),
    31: (16, "train"),
    32: (17, "motorcycle"),
    33: (18, "bicycle"),
}
CAMVID_IN_TRAIN_IDS = [10, 2, 5, 0, 1, 8, 7, 4, 13, 11, 18, 255]


def test_cityscapes_label_ids():
    for label_id in range(34):
        expected = EVALUATED.get(label_id, (255, ""))[0]
        assert CITYSCAPES_LABEL_IDS[label_id] == expected
    assert CITYSCAPES_LABEL_IDS[255] == 255
    assert (CITYSCAPES_LABEL_IDS[34:255] == UNDEFINED).all()
    assert tuple(name for _, name in EVALUATED.values()) == CITYSCAPES


def test_camvid_files_to_train_ids():
    assert CAMVID_TO_CITYSCAPES[:12].tolist() == CAMVID_IN_TRAIN_IDS
    assert (CAMVID_TO_CITYSCAPES[12:] == UNDEFINED).all()


def test_camvid_files_to_its_own_classes():
    assert CAMVID_IDS[:12].tolist() == [*range(11), 255]
    assert len(CAMVID) == 11


def test_camvid_to_cityscapes_and_back_changes_nothing():
    np.testing.assert_array_equal(CITYSCAPES_TO_CAMVID[CAMVID_TO_CITYSCAPES[:12]], CAMVID_IDS[:12])


def test_every_cityscapes_class_has_a_camvid_class():
    pairs = {CITYSCAPES[i]: CAMVID[CITYSCAPES_TO_CAMVID[i]] for i in range(19)}
    assert set(pairs.values()) == set(CAMVID)
    assert {k for k, v in pairs.items() if v == "bicyclist"} == {"rider", "motorcycle", "bicycle"}
    assert {k for k, v in pairs.items() if v == "car"} == {"car", "truck", "bus", "train"}
    assert pairs["wall"] == "building"
    assert pairs["terrain"] == "tree"


@pytest.mark.parametrize("to", [CITYSCAPES_TRAIN_IDS, CITYSCAPES_TO_CAMVID])
def test_negative_and_ignore_stay(to):
    assert (to[254], to[255]) == (254, 255)


def test_tables_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        CAMVID_IDS[0] = 1


def test_remap_equals_indexing():
    label = torch.randint(0, 12, (30, 40), dtype=torch.uint8)
    mapped = remap(label, CAMVID_TO_CITYSCAPES, "a.png")
    assert mapped.dtype == torch.uint8
    np.testing.assert_array_equal(mapped.numpy(), CAMVID_TO_CITYSCAPES[label.numpy()])


def test_remap_names_file_unknown_ids_and_the_defined_ones():
    label = torch.tensor([[0, 77], [12, 77]], dtype=torch.uint8)
    with pytest.raises(DataError, match=r"some/a\.png.*\[12, 77\].*defines 0 to 11\. Check"):
        remap(label, CAMVID_IDS, "some/a.png")
    with pytest.raises(DataError, match="defines 3, 5 to 6, 255"):
        remap(label, table({3: 0, 5: 1, 6: 1, 255: 255}), "a.png")
