"""One graph does what the model does, for every detector, in every runtime."""

import numpy as np
import pytest
import torch

import roadanomaly as ra
from roadanomaly.detectors import DETECTORS
from roadanomaly.errors import NotCalibrated, OptionError, UserError
from roadanomaly.runtimes.export import write_onnx, write_torchscript
from roadanomaly.runtimes.graph import Rarity, ScoringGraph, first_largest
from roadanomaly.runtimes.ready import Choice, prepare
from roadanomaly.runtimes.transfer import pack, unpack
from tests.contracts.built import build_detector
from tests.contracts.toy import segmenter_for
from tests.runtimes.models import SIZE, calibrated, eager, small_model, street_frames, toy_model

BEYOND = [name for name in DETECTORS if set(DETECTORS.get(name).asks) - {"answer"}]
"""Those that ask for more than one pass, which no graph holds; PyTorch's runtime runs them too."""


OFF = {"autoencoder": 1e-4, "mae": 1e-4}
"""How far last digits carry: SSIM subtracts moments that are nearly equal."""


@pytest.mark.slow
@pytest.mark.parametrize("name", DETECTORS)
def test_pytorch_runs_every_detector_as_the_model_does(name):
    model = toy_model(name)
    image = street_frames(count=1)[0][0]
    torch.manual_seed(0)
    expected = model(image)
    runtime = prepare(model, SIZE, Choice("torch"))
    torch.manual_seed(0)
    found = runtime(image)
    off = OFF.get(name, 1e-5)
    np.testing.assert_allclose(found.score, expected.score, rtol=off, atol=off)
    assert (found.classes == expected.classes).all()


@pytest.mark.parametrize("write", [write_onnx, write_torchscript])
@pytest.mark.parametrize("name", BEYOND)
def test_what_no_graph_can_hold_is_refused_in_plain_words(name, write, tmp_path):
    segmenter = segmenter_for(name)
    model = ra.Model(segmenter, build_detector(name, len(segmenter.classes)))
    words = f"`{name}` cannot be exported: it takes .* torch runs it"
    with pytest.raises(UserError, match=words):
        write(model, SIZE, tmp_path / "graph")
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def toy():
    return toy_model("densehybrid")


@pytest.fixture(scope="module")
def whole_network():
    """An ESPNetv2 with one unit a level: the others of a level are its equals."""
    model = small_model()
    network = model.segmenter
    network.units3, network.units4 = network.units3[:1], network.units4[:1]
    return calibrated(model)


@pytest.mark.slow
@pytest.mark.usefixtures("one_onnx")
@pytest.mark.parametrize("size", [SIZE, (90, 130)])
@pytest.mark.parametrize("backend", ["torch", "onnxruntime", "openvino"])
def test_runtimes_score_as_pytorch_does(backend, size, toy):
    pytest.importorskip(backend)
    image = np.random.default_rng(1).integers(0, 255, (*size, 3), dtype=np.uint8)
    score, classes = eager(toy, image)
    found = prepare(toy, size, Choice(backend))(image)
    np.testing.assert_allclose(found.score, score, rtol=1e-4, atol=1e-4)
    assert (found.classes == classes).mean() > 0.9999
    rare = -np.log10(toy.calibration.p_value(score))
    assert np.abs(found.rarity - rare).max() < 0.03


@pytest.mark.slow
@pytest.mark.usefixtures("one_onnx")
@pytest.mark.parametrize("backend", ["torch", "onnxruntime", "openvino"])
def test_without_the_class_map_scores_are_the_same(backend, toy):
    pytest.importorskip(backend)
    image = np.random.default_rng(1).integers(0, 255, (*SIZE, 3), dtype=np.uint8)
    whole = prepare(toy, SIZE, Choice(backend))(image)
    found = prepare(toy, SIZE, Choice(backend, classes=False))(image)
    assert whole.classes is not None
    assert found.classes is None
    np.testing.assert_allclose(found.score, whole.score, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found.rarity, whole.rarity, rtol=1e-4, atol=1e-4)


def test_class_map_that_nobody_asks_for_is_not_computed(monkeypatch):
    monkeypatch.setattr("roadanomaly.runtimes.graph.first_largest", pytest.fail)
    image = np.zeros((*SIZE, 3), np.uint8)
    assert prepare(toy_model("energy"), SIZE, Choice(classes=False))(image).classes is None


@pytest.mark.parametrize("classes", [True, False])
def test_packed_outputs_come_back(classes):
    score, rarity = torch.randn(2, 3, 4, 5).unbind()
    known = torch.randint(0, 19, (3, 4, 5), dtype=torch.uint8)
    packed = pack(*([known] if classes else []), score, rarity)
    for place, row in enumerate(packed.numpy()):
        found = unpack(row, (4, 5))
        assert (found.score == score[place].numpy()).all()
        assert (found.rarity == rarity[place].numpy()).all()
        if classes:
            assert (found.classes == known[place].numpy()).all()
        else:
            assert found.classes is None


@pytest.mark.slow
@pytest.mark.usefixtures("one_onnx")
@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_runtimes_run_the_whole_network(backend, whole_network):
    pytest.importorskip(backend)
    image = street_frames(count=1)[0][0]
    found = prepare(whole_network, SIZE, Choice(backend))(image)
    np.testing.assert_allclose(found.score, eager(whole_network, image)[0], rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_results_are_the_callers_own():
    pytest.importorskip("openvino")
    runtime = prepare(toy_model("energy"), SIZE, Choice("openvino"))
    first = runtime(np.zeros((*SIZE, 3), np.uint8))
    kept = first.score.copy()
    runtime(np.full((*SIZE, 3), 255, np.uint8))
    assert (first.score == kept).all()


def test_first_largest_is_argmax_even_among_equals():
    logits = torch.randint(0, 4, (2, 19, 8, 9)).float()
    assert (first_largest(logits) == logits.argmax(1)).all()


def test_rarity_follows_the_calibration_from_end_to_end():
    calibration = toy_model("energy").calibration
    low, high = min(calibration.scores), max(calibration.scores)
    score = torch.linspace(low - 5, high + 5, 5000)[None, None]
    wanted = -np.log10(calibration.p_value(score.numpy()))
    assert np.abs(Rarity(calibration)(score).numpy() - wanted).max() < 0.05
    assert Rarity(calibration)(torch.tensor([[[high + 100.0]]])).item() == pytest.approx(
        -np.log10(calibration.rates[0]), abs=1e-4
    )


def test_refusals_say_what_to_do():
    model = toy_model("energy")
    with pytest.raises(OptionError, match="did you mean `f32`"):
        prepare(model, SIZE, Choice("torch", "f32x"))
    with pytest.raises(OptionError, match="export model"):
        prepare(model, SIZE, Choice("openvino", "int8"))
    with pytest.raises(OptionError, match="needs a CUDA device"):
        prepare(model, SIZE, Choice("torch", mode="cuda_graph"))
    with pytest.raises(OptionError, match="scale the frame"):
        prepare(model, SIZE, Choice("torch"))(np.zeros((8, 8, 3), np.uint8))
    model.calibration = None
    with pytest.raises(NotCalibrated, match="roadanomaly fit"):
        ScoringGraph(model)
