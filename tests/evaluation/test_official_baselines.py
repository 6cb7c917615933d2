"""The untrained published network on real frames scores what the official tool says it does."""

import os
from pathlib import Path

import pytest

import roadanomaly as ra
from roadanomaly.data.roadanomaly import RoadAnomaly
from roadanomaly.evaluation.evaluate import evaluate
from roadanomaly.evaluation.job import Job
from roadanomaly.evaluation.protocols import PROTOCOLS
from roadanomaly.evaluation.sources import NetworkScores

WEIGHTS = "espnetv2_s_2.0_city_1024x512.pth"
OFFICIAL = {
    "energy": (20.904, 65.155, 72.738, 29.205, 11.501, 13.038, 2.509),
    "entropy": (18.347, 76.468, 66.330, 26.159, 10.640, 12.562, 2.375),
    "max_logit": (20.771, 65.645, 72.099, 28.578, 10.258, 11.573, 2.842),
    "msp": (17.248, 77.015, 64.685, 24.105, 8.993, 15.149, 3.128),
}
"""AP, FPR95, AUROC, best F1, sIoU, PPV and mean F1 in percent, of the official tool (revision
1c7804e) on the half-precision scores of 30 RoadAnomaly frames at 1280×720."""

KEYS = ("ap", "fpr95", "auroc", "best_f1", "siou", "ppv", "f1")
PIXEL, COMPONENT = 0.1, 1.0
"""How far a figure may be off, in points, on another CPU or with other threads: logits differ in
their last digit there, which can move the best-F1 threshold by a bin and components with it."""


@pytest.mark.slow
def test_untrained_espnetv2_equals_the_official_evaluation():
    root = os.environ.get("ROADANOMALY_DATA")
    if root is None or not (Path(root) / "roadanomaly").is_dir():
        pytest.skip("needs ROADANOMALY_DATA with roadanomaly/ and the ESPNetv2 weights")
    frames = RoadAnomaly()
    if len(frames) != 30:
        pytest.skip(f"the official values are of 30 frames, here are {len(frames)}")
    segmenter = ra.segmenter("espnetv2", scale=2.0, weights=WEIGHTS)
    heads = {name: ra.Model(segmenter, ra.detector(name)).head for name in OFFICIAL}
    source = NetworkScores(segmenter, heads)
    for found in evaluate(Job(source, frames, PROTOCOLS["roadanomaly"], mode="official")):
        percent = [100 * found.official[key] for key in KEYS]
        assert percent[:4] == pytest.approx(OFFICIAL[found.detector][:4], abs=PIXEL)
        assert percent[4:] == pytest.approx(OFFICIAL[found.detector][4:], abs=COMPONENT)
