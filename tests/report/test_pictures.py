import numpy as np
import pytest
import torch

from roadanomaly.report.pictures import heat, overlay, row, score_sheet
from roadanomaly.types import Component, Frame


def test_heat_is_brighter_where_the_score_is_higher():
    ramp = np.tile(np.linspace(-3, 7, 50, dtype=np.float32), (4, 1))
    drawn = heat(ramp, -3, 7)
    assert drawn.shape == (4, 50, 3)
    luma = drawn.astype(float) @ [0.299, 0.587, 0.114]
    assert (np.diff(luma[0]) >= -1).all()
    assert luma[0, -1] > luma[0, 0] + 100


def test_heat_of_a_constant_map_is_one_colour():
    assert len(np.unique(heat(np.full((5, 5), 3.0)).reshape(-1, 3), axis=0)) == 1


def test_overlay_tints_the_mask_and_leaves_the_rest():
    image = np.full((40, 60, 3), 100, np.uint8)
    mask = np.zeros((40, 60), bool)
    mask[10:20, 10:30] = True
    drawn = overlay(image, mask)
    assert (drawn[15, 20] != 100).any()
    assert (drawn[30:, 40:] == 100).all()
    assert (image == 100).all()
    boxed = overlay(image, mask, [Component((10, 10, 20, 10), 200, 1.5, 2.0)])
    assert (boxed[20, 10:30] == 255).any()


def test_row_scales_to_one_height():
    joined = row([np.zeros((10, 20, 3), np.uint8), np.zeros((40, 40, 3), np.uint8)], 20)
    assert joined.shape == (20, 40 + 4 + 20, 3)


@pytest.mark.parametrize("with_label", [True, False])
def test_sheet_has_a_row_a_frame(with_label):
    label = torch.zeros(20, 40, dtype=torch.uint8) if with_label else None
    frame = Frame("x", torch.zeros(3, 20, 40, dtype=torch.uint8), label)
    sheet = score_sheet([(frame, np.random.default_rng(0).random((20, 40)))] * 3, height=50)
    assert sheet.shape == (
        3 * 50 + 2 * 4,
        (3 if with_label else 2) * 100 + (2 if with_label else 1) * 4,
        3,
    )


def test_the_narrowest_picture_has_a_column_in_its_row():
    joined = row([np.zeros((40_000, 40, 3), np.uint8), np.zeros((20, 10, 3), np.uint8)], 200)
    assert joined.shape == (200, 1 + 4 + 100, 3)
