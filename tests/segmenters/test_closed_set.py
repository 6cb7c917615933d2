"""The closed-set loss, and labels on the grid of the logits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from roadanomaly.segmenters.closed_set import closed_set_cross_entropy, labels_at
from roadanomaly.types import IGNORE, NEGATIVE, Segmentation


def segmentation(rows, columns, size, padded, align_corners=False):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1, 3, rows, columns, generator=generator)
    return Segmentation(logits, size, padded, align_corners)


@pytest.mark.parametrize("stride", [1, 2, 4, 8])
def test_a_label_is_that_of_the_cell_s_middle(stride):
    label = torch.arange(16 * 24, dtype=torch.int64).remainder(251).to(torch.uint8).view(1, 16, 24)
    found = labels_at(label, segmentation(16 // stride, 24 // stride, (16, 24), (16, 24)))
    middle = stride // 2
    assert torch.equal(found, label[:, middle::stride, middle::stride].long())


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("grid", [(4, 6), (5, 7), (16, 3), (20, 40)])
def test_a_label_is_that_of_the_pixel_that_the_cell_weighs_most_in(grid, align_corners):
    """An impulse in a cell, brought to image size, is largest where the label was taken.

    Without aligned corners a cell at the border weighs most between its middle and the border.
    """
    found = segmentation(*grid, (16, 13), (16, 13), align_corners)
    label = torch.arange(16 * 13).to(torch.uint8).view(1, 16, 13)
    taken = labels_at(label, found).flatten()
    impulses = torch.eye(grid[0] * grid[1]).view(1, -1, *grid)
    weights = found.to_image(impulses)[0].flatten(1)
    reached = weights.amax(1)
    at_taken = weights[torch.arange(len(taken)), taken]
    compared = reached > 0  # a grid finer than the image has cells that no pixel reads
    if not align_corners:
        inside = torch.zeros(grid, dtype=torch.bool)
        inside[1:-1, 1:-1] = True
        compared &= inside.flatten()
    torch.testing.assert_close(at_taken[compared], reached[compared])


def test_corner_cells_of_an_align_corners_network_lie_on_corner_pixels():
    label = torch.arange(16 * 13).to(torch.uint8).view(1, 16, 13)
    taken = labels_at(label, segmentation(4, 4, (16, 13), (16, 13), align_corners=True))
    assert torch.equal(taken, label[:, ::5, ::4].long())


def test_padding_becomes_ignore():
    found = labels_at(
        torch.zeros(1, 10, 13, dtype=torch.uint8), segmentation(8, 8, (10, 13), (16, 16))
    )
    assert (found[:, :5, :6] == 0).all()
    assert (found[:, 5:] == IGNORE).all()
    assert (found[:, :, 7:] == IGNORE).all()


def test_cross_entropy_counts_known_pixels_alone():
    found = segmentation(4, 5, (4, 5), (4, 5))
    label = np.random.default_rng(0).integers(0, 3, (1, 4, 5)).astype(np.uint8)
    label[0, 0], label[0, 1, :2], label[0, 2, :2] = IGNORE, NEGATIVE, [252, 253]
    log_p = log_softmax(found.logits.numpy(), 1)[0]
    values = [-log_p[k, r, c] for (_, r, c), k in np.ndenumerate(label) if k < 252]
    loss = closed_set_cross_entropy(found, torch.from_numpy(label))
    assert loss.item() == pytest.approx(np.mean(values), rel=1e-5)
