"""An export holds a graph that was compared, or a report that says why there is none."""

import json

import numpy as np
import pytest

from roadanomaly.errors import DataError, OptionError
from roadanomaly.runtimes.base import Scores
from roadanomaly.runtimes.exported import export, read_exported
from roadanomaly.runtimes.parity import ParityError, compare
from roadanomaly.runtimes.ready import Choice, Opened, prepare
from tests.runtimes.models import SIZE, eager, street_frames, toy_model


@pytest.mark.slow
@pytest.mark.parametrize("to", ["onnx", "openvino", "torchscript"])
def test_export_opens_again_and_scores_the_same(to, tmp_path):
    pytest.importorskip({"onnx": "onnxruntime", "openvino": "openvino"}.get(to, "torch"))
    model, frames = toy_model("energy"), street_frames()
    (parity,) = export(model, to, SIZE, tmp_path / "out", street_frames, "streets")
    written = json.loads((tmp_path / "out" / "parity.json").read_text())
    assert written == parity.as_dict()
    assert written["passed"]
    assert written["rank_correlation"] > 0.9999
    opened = Opened(tmp_path / "out")
    found = opened.runtime(SIZE)(frames[0][0])
    np.testing.assert_allclose(found.score, eager(model, frames[0][0])[0], atol=1e-4)
    with pytest.raises(OptionError, match="give --size 128x96"):
        opened.runtime((64, 64))


class Flat:
    """A runtime that scores every pixel alike."""

    name, precision = "flat", "f32"

    def __init__(self, runtime):
        self.runtime, self.size = runtime, runtime.size

    def __call__(self, image):
        found = self.runtime(image)
        return Scores(found.classes, np.zeros_like(found.score), found.rarity)


@pytest.mark.slow
def test_equal_scores_have_no_ranks():
    runtime = prepare(toy_model("energy"), SIZE, Choice("torch"))
    parity = compare(runtime, Flat(runtime), street_frames(), "streets")
    assert parity.ranks == "undefined (equal scores)"
    assert json.loads(json.dumps(parity.as_dict(), allow_nan=False))["rank_correlation"] is None


class Shuffled:
    """A runtime that is fast and wrong."""

    name, precision = "openvino", "int8"

    def __init__(self, runtime):
        self.runtime, self.size = runtime, runtime.size

    def __call__(self, image):
        found = self.runtime(image)
        return Scores(found.classes, -found.score, found.rarity)


def test_graph_whose_ap_moves_is_refused(tmp_path, monkeypatch):
    model = toy_model("energy")
    monkeypatch.setattr(
        "roadanomaly.runtimes.exported._open",
        lambda *_: Shuffled(prepare(model, SIZE, Choice("torch"))),
    )
    with pytest.raises(ParityError, match="no graph was written"):
        export(
            model, "torchscript", SIZE, tmp_path / "out", street_frames, "streets", tolerance=0.01
        )
    found = {path.name for path in (tmp_path / "out").iterdir()}
    assert found == {"parity.json", ".roadanomaly.json"}
    report = json.loads((tmp_path / "out" / "parity.json").read_text())
    assert not report["passed"]
    assert report["rank_correlation"] == pytest.approx(-1)


def test_comparison_needs_an_anomaly():
    runtime = prepare(toy_model("energy"), SIZE, Choice("torch"))
    blank = [(np.zeros((*SIZE, 3), np.uint8), np.zeros(SIZE, np.uint8))]
    with pytest.raises(DataError, match="no frame of nothing shows an anomaly"):
        compare(runtime, runtime, blank, "nothing")


def none(size):
    return []


def test_int8_needs_frames(tmp_path):
    pytest.importorskip("openvino")
    with pytest.raises(OptionError, match="--quantise_on"):
        export(toy_model("energy"), "openvino", SIZE, tmp_path / "x", none, "x", precision="int8")
    assert not list(tmp_path.glob(".*"))


@pytest.mark.slow
def test_int8_is_compared_like_the_rest(tmp_path):
    pytest.importorskip("nncf")
    (parity,) = export(
        toy_model("energy"),
        "openvino",
        SIZE,
        tmp_path / "x",
        street_frames,
        "streets",
        precision="int8",
        tolerance=100,
        quantise_on=[image for image, _ in street_frames()],
    )
    assert parity.runtime == "openvino int8"
    assert 0.5 < parity.rank_correlation < 0.99999


def test_broken_description_is_an_error(tmp_path):
    (tmp_path / "export.json").write_text("{}")
    with pytest.raises(DataError, match="export model"):
        read_exported(tmp_path)
