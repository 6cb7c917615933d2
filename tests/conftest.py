"""What every test starts from: one thread and a fixed torch seed."""

from __future__ import annotations

import cv2
import pytest
import torch

torch.set_num_threads(1)
cv2.setNumThreads(1)


@pytest.fixture(autouse=True)
def torch_seed():
    """Start each test from the same torch state, so that their order changes nothing."""
    torch.manual_seed(0)
