"""What every test starts from: one thread, a fixed torch seed, no garbage of what stays."""

from __future__ import annotations

import gc

import cv2
import pytest
import torch

torch.set_num_threads(1)
cv2.setNumThreads(1)


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Leave modules and tests out of the garbage collection, for they stay to the end.

    Otherwise it walks over their million objects again and again.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(autouse=True)
def torch_seed():
    """Start each test from the same torch state, so that their order changes nothing."""
    torch.manual_seed(0)
