"""The detectors that docs/architecture.md shows run as they stand there, under all contracts."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch

import roadanomaly
from roadanomaly.calibration import calibrate
from roadanomaly.errors import UserError
from roadanomaly.model import Model
from roadanomaly.runtimes.export import write_onnx
from roadanomaly.runtimes.pytorch import PyTorch
from tests.contracts import toy

PAGE = Path(roadanomaly.__file__).parent.parent / "docs" / "architecture.md"
CODES = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
NAMES = [re.search(r"class (\w+)\(Detector\)", code)[1] for code in CODES]


@pytest.fixture(params=zip(NAMES, CODES, strict=True), ids=NAMES)
def shown(request, monkeypatch):
    """The class that a block of the page defines, with its line in the catalogue."""
    name, code = request.param
    assert len(code.splitlines()) <= 45
    module = types.ModuleType(f"shown_{name.lower()}")
    exec(compile(code, str(PAGE), "exec"), module.__dict__)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(roadanomaly.DETECTORS.entries, name.lower(), f"{module.__name__}:{name}")
    monkeypatch.setitem(roadanomaly.SEGMENTERS.entries, "toy", "tests.contracts.toy:ToySegmenter")
    getattr(module, name).__module__ = module.__name__
    return name.lower()


def test_three_are_shown():
    assert NAMES == ["Margin", "Saliency", "Mirrored"]


def test_it_scores_is_saved_and_runs_in_a_video(shown, tmp_path):
    model = Model(toy.ToySegmenter(), roadanomaly.detector(shown))
    image = toy.inliers(2, 0).image
    score, _ = model.score(image)
    assert score.shape == (2, toy.HEIGHT, toy.WIDTH)
    assert torch.isfinite(score).all()
    assert score.std() > 0
    alone = torch.cat([model.score(one[None])[0] for one in image])
    torch.testing.assert_close(alone, score)
    model.save(tmp_path / "model")
    assert torch.equal(roadanomaly.load(tmp_path / "model").score(image)[0], score)
    model.calibration = calibrate([score.detach().numpy().ravel()], 0.05, "stripes")
    frame = (255 * image[0].permute(1, 2, 0).numpy()).round().astype(np.uint8)
    runtime = PyTorch(model, (toy.HEIGHT, toy.WIDTH))
    np.testing.assert_allclose(runtime(frame).score, model(frame).score, atol=1e-6)


def test_what_no_graph_can_hold_is_refused_with_the_reason(shown, tmp_path):
    model = Model(toy.ToySegmenter(), roadanomaly.detector(shown))
    model.calibration = calibrate([np.arange(100.0)], 0.05, "numbers")
    if shown == "margin":
        return
    word = {"saliency": "gradients", "mirrored": "several passes"}[shown]
    with pytest.raises(UserError, match=word):
        write_onnx(model, (32, 32), tmp_path / "graph.onnx")
