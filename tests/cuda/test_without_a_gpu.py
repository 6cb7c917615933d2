"""Networks, detectors and sources on a CUDA device that does not exist: nothing stays behind."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from roadanomaly.detectors import DETECTORS, Detector
from roadanomaly.flows.actnorm import ActNorm
from roadanomaly.negatives import NEGATIVES, NegativeSource
from roadanomaly.segmenters import Segmenter
from roadanomaly.training.step import LEARNS, TrainingStep
from roadanomaly.types import IGNORE, NEGATIVE, Batch
from tests.contracts.built import build_detector
from tests.contracts.tiny import CLASSES, NETWORKS, fit_together, network
from tests.cuda.nowhere import (
    Waits,
    batch_on_cuda,
    cuda_without_a_gpu,
    moved,
    on_cuda,
    tried_versions_only,
)

pytestmark = tried_versions_only

EXCLUDED = {
    "onnx": "ONNX Runtime computes it, outside PyTorch",
    "torchscript": "a traced network cannot be run with fake tensors",
}

ALLOWED = {
    "detectors/density/draw_pixels.py draw_pixels": "places are drawn on the processor",
    "detectors/inpainting.py <listcomp>": "OpenCV paints",
    "detectors/inpainting.py suspicious_blobs": "OpenCV paints",
    "detectors/masks/maskomaly.py _uncovered": "the few sure masks alone are enlarged",
    "detectors/resynthesis/uncertainty.py update": "the share of a mean is a number",
    "detectors/road/dacup.py weights": "the phase is counted in saved buffers",
    "flows/vector_flow.py log_prob": "zuko asks its own values",
    "segmenters/matching.py matching_loss": "transformers matches on the processor",
}
"""Where a score or a step may wait for the device; what follows such a place is not run."""

SIX = ("energy", "mahalanobis", "densehybrid", "rba", "jsrnet", "embedding_density")
"""Of each kind and answer: posthoc, fit, train, finetune, of masks, of the road."""

ON_TWO = {
    name: ("espnetv2", "torchvision lraspp")
    if "logits" in DETECTORS.get(name).accepts
    else ("transformers mask2former", "transformers eomt")
    for name in DETECTORS
}

GLOW = {"name": "glow", "levels": 2, "steps": 1, "hidden": 4}
DENSE = {"name": "denseflow", "units": [2, 1], "modules": [1, 1], "width": 4, "depth": 1}
FLOWS = {
    "glow": {"name": "flow", "flow": GLOW, "side": (8, 24)},
    "denseflow": {"name": "flow", "flow": DENSE | {"network_growth": 4}, "side": (8, 24)},
    "mixture": {
        "name": "mixture",
        "sources": [{"name": "flow", "flow": GLOW, "side": (8, 24)}, {"name": "noise"}],
    },
}


def image() -> torch.Tensor:
    return torch.rand(2, 3, 64, 96)


def batch() -> Batch:
    label = torch.arange(96).remainder(len(CLASSES)).expand(2, 64, 96).to(torch.uint8).clone()
    label[:, :8], label[:, 8:16] = NEGATIVE, IGNORE
    return Batch(image(), label, ("a", "b"))


def attached(name: str, segmenter: Segmenter) -> Detector:
    """Build a detector as it is after its preparation."""
    detector = build_detector(name, len(CLASSES))
    detector.check_kind(segmenter)
    detector.attach(segmenter)
    for part in detector.modules():
        if hasattr(part, "ready"):
            part.ready = True
    return detector


def unless_allowed(work: Callable[[], None]) -> None:
    """Run on the device that is not there; waits at the places of the list are forgiven."""
    try:
        with cuda_without_a_gpu():
            work()
    except Waits as found:
        if str(found) not in ALLOWED:
            raise


def step_of(segmenter: Segmenter, detector: Detector, source: NegativeSource | None = None):
    step = TrainingStep(
        segmenter,
        detector,
        source,
        freeze_batch_norm=True,
        supervise="logits",
        distill=0.0,
    )
    for part in step.modules():
        if isinstance(part, ActNorm):
            part.settled = True
    return step.train()


def check_step(step: TrainingStep, made: Batch) -> None:
    terms = moved(step)(batch_on_cuda(made), np.random.default_rng(0))
    assert terms
    for term in terms.values():
        assert term.device.type == "cuda"
        assert term.dtype == torch.float32
        assert term.shape == ()


def check_score(detector: Detector, segmenter: Segmenter) -> None:
    shown = on_cuda(image())
    score = detector.score(detector.look(segmenter, shown), shown)
    assert score.device.type == "cuda"
    assert score.dtype == torch.float32
    assert score.shape == (2, 64, 96)


@pytest.mark.parametrize("name", [one for one in NETWORKS if one not in EXCLUDED])
def test_every_network_with_six_detectors(name):
    segmenter = network(name)
    detectors = [attached(one, segmenter) for one in SIX if fit_together(name, one)]
    needs = tuple(dict.fromkeys(need for one in detectors for need in one.needs))
    labelled = batch()

    def work() -> None:
        shown = on_cuda(labelled.image)
        segmentation = moved(segmenter)(shown, needs)
        assert segmentation.logits.device.type == "cuda"
        for detector in detectors:
            score = moved(detector.eval()).score(segmentation, shown)
            assert (score.device.type, score.shape) == ("cuda", (2, 64, 96))

    unless_allowed(work)
    trained = "densehybrid" if fit_together(name, "densehybrid") else "rba"
    step = step_of(segmenter, attached(trained, segmenter))
    unless_allowed(lambda: check_step(step, labelled))


@pytest.mark.parametrize(
    ("name", "on"), [(name, on) for name, both in ON_TWO.items() for on in both]
)
def test_every_detector_on_two_networks(name, on):
    segmenter = network(on)
    detector = attached(name, segmenter)
    unless_allowed(lambda: check_score(moved(detector.eval()), moved(segmenter)))
    if detector.kind in LEARNS:
        step = step_of(segmenter, detector)
        unless_allowed(lambda: check_step(step, batch()))


@pytest.mark.parametrize("detector", ["densehybrid", "nflowjs"])
@pytest.mark.parametrize("source", FLOWS)
def test_sources_inside_the_step(source, detector):
    segmenter = network("espnetv2")
    step = step_of(segmenter, attached(detector, segmenter), NEGATIVES.from_spec(FLOWS[source]))
    made = batch()
    unless_allowed(lambda: check_step(step, made))


def test_scores_stay_float32_in_half_precision():
    segmenter = network("espnetv2")
    detector = attached("densehybrid", segmenter)

    def work() -> None:
        with torch.autocast("cuda", torch.bfloat16):
            network_there = moved(segmenter)
            assert network_there(on_cuda(image())).logits.dtype == torch.bfloat16
            check_score(moved(detector), network_there)

    unless_allowed(work)


def test_the_list_of_waits_is_short():
    assert len(ALLOWED) <= 10


class Faulty(nn.Module):
    """Keeps a tensor that is no buffer, and asks a flag."""

    def __init__(self) -> None:
        super().__init__()
        self.left = torch.ones(3)
        self.register_buffer("flag", torch.tensor(True))


def test_a_tensor_that_stays_behind_is_found():
    faulty = Faulty()
    with pytest.raises(RuntimeError, match="device"), cuda_without_a_gpu():
        on_cuda(torch.ones(3)) + moved(faulty).left


@pytest.mark.parametrize(
    "ask",
    [
        lambda there: bool(there.flag),
        lambda there: there.flag.nonzero(),
        lambda there: there.flag.cpu().numpy(),
    ],
    ids=["bool", "nonzero", "numpy"],
)
def test_a_wait_is_found(ask):
    faulty = Faulty()
    with pytest.raises(Waits), cuda_without_a_gpu():
        ask(moved(faulty))
