"""The guided filter, against ridge regressions worked out window by window."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from roadanomaly.errors import OptionError
from roadanomaly.refiners.guided import LUMA, Guided


def windows(values, row, column, half):
    top, left = max(0, row - half), max(0, column - half)
    return values[top : row + half + 1, left : column + half + 1]


def regressed(score, guide, side, eps):
    """Fit a line in each window by least squares with a ridge on the slope, then average."""
    half, lines = side // 2, np.empty((2, *score.shape))
    for place in np.ndindex(score.shape):
        known, wanted = (windows(one, *place, half).ravel() for one in (guide, score))
        centred = known - known.mean()
        system = np.append(centred, np.sqrt(eps * len(known)))[:, None]
        target = np.append(wanted - wanted.mean(), 0.0)
        slope = np.linalg.lstsq(system, target, rcond=None)[0][0]
        lines[(0, *place)], lines[(1, *place)] = slope, wanted.mean() - slope * known.mean()
    means = np.array(
        [
            [windows(line, *place, half).mean() for place in np.ndindex(score.shape)]
            for line in lines
        ]
    ).reshape(lines.shape)
    return means[0] * guide + means[1]


def draw(height, width, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(1, height, width, generator=rng), torch.rand(
        1, 3, height, width, generator=rng
    )


@pytest.mark.parametrize(("side", "eps"), [(3, 0.01), (5, 0.5)])
def test_it_is_a_ridge_regression_in_each_window(side, eps):
    score, image = draw(11, 14)
    guide = (image[0].double().numpy() * np.array(LUMA)[:, None, None]).sum(0)
    found = Guided(side, eps, 1)(score, None, image)
    expected = regressed(score[0].double().numpy(), guide, side, eps)
    np.testing.assert_allclose(found[0].numpy(), expected, atol=1e-4)


@pytest.mark.parametrize("subsample", [1, 4])
def test_a_constant_score_stays_and_an_edge_of_the_image_is_kept(subsample):
    image = torch.full((1, 3, 48, 64), 0.2)
    image[..., 32:] = 0.9
    filtered = Guided(9, 1e-3, subsample)
    torch.testing.assert_close(
        filtered(torch.full((1, 48, 64), 3.0), None, image), torch.full((1, 48, 64), 3.0)
    )
    step = torch.zeros(1, 48, 64)
    step[..., 32:] = 1
    noisy = step + 0.3 * torch.randn(step.shape, generator=torch.Generator().manual_seed(1))
    found = filtered(noisy, None, image)
    assert (found - step).abs().mean() < 0.2 * (noisy - step).abs().mean()
    assert found[0, :, 33].mean() - found[0, :, 30].mean() > 0.9


@pytest.mark.parametrize(("more_rows", "more_columns"), [(1, 3), (2, 0), (3, 2)])
def test_pixels_that_fill_no_cell_move_nothing_elsewhere(more_rows, more_columns):
    score, image = draw(60 + more_rows, 80 + more_columns)
    filtered = Guided(3, 0.01, 4)
    whole = filtered(score[:, :60, :80], None, image[..., :60, :80])
    found = filtered(score, None, image)
    reach = 16  # two windows of a cell each way, a cell between two, and what is left of one
    torch.testing.assert_close(found[:, : 60 - reach, : 80 - reach], whole[:, :-reach, :-reach])


def test_odd_sizes_and_mistakes():
    score, image = draw(37, 53)
    assert Guided(5, 0.01, 4)(score, None, image).shape == score.shape
    with pytest.raises(OptionError, match="odd number of cells"):
        Guided(4)
    with pytest.raises(OptionError, match="`eps` must be above 0"):
        Guided(5, 0)
