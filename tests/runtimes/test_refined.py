"""Every refiner that a graph can hold scores there as in PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from roadanomaly.refiners import REFINERS
from roadanomaly.runtimes.exported import export
from roadanomaly.runtimes.ready import Opened
from tests.runtimes.models import SIZE, calibrated, eager, street_frames, toy_model

MOVED = {"boundary_suppression": 0.005}
"""Share of pixels that may differ: where two classes are level, a boundary lies a pixel further."""


@pytest.mark.slow
@pytest.mark.parametrize("to", ["onnx", "torchscript"])
@pytest.mark.parametrize("name", [name for name in REFINERS if REFINERS.get(name).exports])
def test_an_export_holds_the_refiner(name, to, tmp_path):
    pytest.importorskip({"onnx": "onnxruntime"}.get(to, "torch"))
    model = calibrated(toy_model("energy").refine([REFINERS.build(name)]))
    frames = street_frames()
    (parity,) = export(model, to, SIZE, tmp_path / "out", street_frames, "streets")
    assert parity.as_dict()["passed"]
    found = Opened(tmp_path / "out").runtime(SIZE)(frames[0][0])
    with torch.inference_mode():
        expected, _ = eager(model, frames[0][0])
    off = np.abs(found.score - expected) > 2e-4
    assert off.mean() <= MOVED.get(name, 0)
