"""Graphs of mask networks are right on images whose sure queries are not those of the example."""

import numpy as np
import pytest
import torch
from torch.jit import is_tracing

import roadanomaly as ra
from roadanomaly.detectors.masks import mask2anomaly, maskomaly
from roadanomaly.detectors.masks.queries import queries_of_any
from roadanomaly.runtimes.export import write_onnx, write_torchscript
from roadanomaly.runtimes.exported import export
from roadanomaly.runtimes.onnx_runtime import OnnxRuntime
from roadanomaly.runtimes.parity import ParityError
from roadanomaly.runtimes.pytorch import PyTorch
from roadanomaly.types import Masks
from tests.contracts import toy
from tests.contracts.tiny import network
from tests.runtimes.models import SIZE, calibrated, street_frames

COLOURS = ((255, 0, 0), (0, 255, 0), (200, 30, 200))
OPTIONS = {"maskomaly": {}, "mask2anomaly": {"refine": ["road", "pavement"]}}


class Doubting(toy.ToyMasks):
    """The toy mask network, whose queries are sure of their class where an image shows it."""

    def maps(self, image, features):
        answer, found = super().maps(image, features)
        shown = image.mean((2, 3))[:, :, None]
        classes = answer.classes * 8 * shown
        return Masks(classes, answer.masks, queries=classes), found


@pytest.fixture(params=OPTIONS)
def model(request):
    return calibrated(ra.Model(Doubting(), ra.detector(request.param, **OPTIONS[request.param])))


def images():
    """Yield images that each make other queries sure; the example, black, makes none."""
    rng = np.random.default_rng(0)
    for colour in COLOURS:
        image = np.full((*SIZE, 3), colour, np.uint8)
        image[20:50, 30:60] = rng.integers(0, 255, (30, 30, 3))
        yield image


@pytest.mark.slow
@pytest.mark.parametrize(
    ("write", "run"), [(write_torchscript, PyTorch), (write_onnx, OnnxRuntime)], ids=["pt", "onnx"]
)
def test_a_graph_holds_the_queries_of_every_image(model, write, run, tmp_path):
    path = tmp_path / "graph"
    write(model, SIZE, path)
    runtime = run(path, SIZE)
    for image in images():
        score = model(image).score
        np.testing.assert_allclose(runtime(image).score, score, rtol=1e-4, atol=1e-4)


def test_the_images_make_different_queries_sure(model):
    def sure(image):
        pixels = torch.from_numpy(image).permute(2, 0, 1)[None] / 255
        return tuple((model.segmenter(pixels).masks.probabilities.amax(2) > 0.95)[0].tolist())

    assert len({sure(image) for image in images()}) == len(COLOURS)
    assert not any(sure(np.zeros((*SIZE, 3), np.uint8)))


def test_a_graph_of_the_examples_queries_alone_is_refused(model, tmp_path, monkeypatch):
    """AP hardly moves, since the drawn streets show no class of the toy world; the scores do."""
    for room in (maskomaly, mask2anomaly):
        monkeypatch.setattr(
            room, "queries_of_any", lambda chosen: [] if is_tracing() else queries_of_any(chosen)
        )
    with pytest.raises(ParityError, match="something else than the model"):
        export(model, "torchscript", SIZE, tmp_path / "out", street_frames, "streets")


@pytest.mark.slow
def test_eomt_branches_on_plain_numbers_in_a_graph(tmp_path):
    """A block with masked attention, as fresh ones have it, and one without, as published."""
    segmenter = network("transformers eomt")
    segmenter.network.attn_mask_probs[1] = 0
    model = calibrated(ra.Model(segmenter, ra.detector("rba")))
    write_onnx(model, SIZE, tmp_path / "graph.onnx")
    runtime = OnnxRuntime(tmp_path / "graph.onnx", SIZE)
    for image, _ in street_frames():
        np.testing.assert_allclose(runtime(image).score, model(image).score, rtol=1e-4, atol=1e-4)
    assert segmenter.network.attn_mask_probs.tolist() == [1, 0]
