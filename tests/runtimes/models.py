"""Small calibrated models to be given to runtimes."""

import copy
import itertools
from functools import cache

import numpy as np
import torch

import roadanomaly as ra
from roadanomaly.calibration import calibrate
from roadanomaly.data.streets import Streets
from roadanomaly.detectors.head import Head
from tests.contracts.built import build_detector
from tests.contracts.toy import prepared, segmenter_for

SIZE = (96, 128)


def small_model(detector="densehybrid", segmenter="espnetv2", **options):
    """An untrained network: parity does not ask what it has learned."""
    part = ra.detector(detector)
    options = options or ({"scale": 0.5} if segmenter == "espnetv2" else {})
    model = ra.Model(ra.segmenter(segmenter, **options), part)
    if detector == "densehybrid":
        part.ready = True
    return calibrated(model)


def toy_model(detector):
    """Return a model of its own on the toy network, prepared once for all in two steps."""
    return copy.deepcopy(_toy_model(detector))


@cache
def _toy_model(detector):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return _prepared(detector)


def _prepared(detector):
    segmenter = segmenter_for(detector)
    part = prepared(detector, segmenter, steps=2)
    model = ra.Model.__new__(ra.Model)
    model.segmenter, model.head, model.min_area = segmenter.eval(), Head(part), 10
    model.calibration = None
    return calibrated(model)


def toy_head(detector):
    """Return a detector on the toy network that has learned nothing."""
    segmenter = segmenter_for(detector)
    return ra.Model(segmenter, build_detector(detector, len(segmenter.classes))).head


def calibrated(model):
    image = np.random.default_rng(0).integers(0, 255, (*SIZE, 3), dtype=np.uint8)
    model.calibration = calibrate([model(image).score.ravel()], 0.05, "noise")
    return model


@cache
def street_frames(size=SIZE, count=2):
    streets = Streets("test", count=8, height=size[0], width=size[1])
    shown = itertools.islice((frame for frame in streets if (frame.truth == 1).any()), count)
    return [(np.ascontiguousarray(f.image.permute(1, 2, 0)), f.truth.numpy()) for f in shown]


def eager(model, image):
    with torch.inference_mode():
        pixels = torch.from_numpy(image).permute(2, 0, 1)[None] / 255
        score, segmentation = model.score(pixels)
        return score[0].numpy(), segmentation.classes()[0].numpy()
