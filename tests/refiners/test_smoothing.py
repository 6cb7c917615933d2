"""The mean over a window, against the mean of what lies inside the map."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from roadanomaly.errors import OptionError
from roadanomaly.refiners.smoothing import Smooth, window_mean


def test_window_mean_averages_what_lies_inside_the_map():
    values = torch.rand(2, 6, 9, generator=torch.Generator().manual_seed(0))
    found = window_mean(values, 5)
    for row, column in np.ndindex(6, 9):
        window = values[:, max(0, row - 2) : row + 3, max(0, column - 2) : column + 3]
        assert torch.allclose(found[:, row, column], window.mean((1, 2)), atol=1e-6)
    assert window_mean(values, 1) is values


@pytest.mark.parametrize("window", [0, 4, -3])
def test_the_window_must_be_odd(window):
    with pytest.raises(OptionError, match=f"odd number of cells.*not {window}"):
        Smooth(window)
