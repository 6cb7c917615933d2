"""Exact float32 where it is promised, half precision where it is asked for."""

from __future__ import annotations

import pickle
import threading

import numpy as np
import pytest
import torch

from roadanomaly.ahead import ahead
from roadanomaly.data.memory import Memory
from roadanomaly.detectors import DETECTORS
from roadanomaly.detectors.base import Detector, Pass
from roadanomaly.errors import OptionError
from roadanomaly.fitting import fit
from roadanomaly.inliers import inlier_scores
from roadanomaly.model import Model, channels_last
from roadanomaly.precision import allow_tf32, autocast, exact_float32
from tests.contracts import toy

FRAMES = toy.Frames(*(toy.inliers(4, seed) for seed in range(3)))


@pytest.fixture(params=[(True, False), (True, True), (False, False)])
def switches(request):
    """The two switches of TensorFloat-32, as somebody has set them before."""
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.allow_tf32, matmul.allow_tf32
    cudnn.allow_tf32, matmul.allow_tf32 = request.param
    yield request.param
    cudnn.allow_tf32, matmul.allow_tf32 = before


def now():
    return torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32


@pytest.mark.parametrize("on", [True, False])
def test_both_switches_are_set(switches, on):
    allow_tf32(on)
    assert now() == (on, on)


@pytest.mark.parametrize("precision", ["f32", "f16"])
def test_a_gpu_is_asked_in_exact_float32_and_the_switches_are_put_back(switches, precision):
    with autocast("f32", torch.device("cuda")), autocast(precision, torch.device("cpu")):
        assert now() == (False, False)
        assert torch.is_autocast_enabled("cpu") == (precision == "f16")
    assert now() == switches
    with autocast("f32", torch.device("cpu")):
        assert now() == switches


def test_threads_that_overlap_put_the_switches_back_once(switches):
    entered, leave, found = threading.Event(), threading.Event(), []

    def other():
        with exact_float32():
            entered.set()
            leave.wait()
            found.append(now())

    thread = threading.Thread(target=other)
    with exact_float32():
        thread.start()
        entered.wait()
    assert now() == (False, False)
    leave.set()
    thread.join()
    assert found == [(False, False)]
    assert now() == switches


def test_an_unknown_precision_names_the_nearest():
    with pytest.raises(OptionError, match="`bf16`"):
        autocast("bf61", torch.device("cpu"))


def test_weights_in_another_layout_give_the_same_scores():
    model = Model(toy.ToySegmenter(), toy.prepared("densehybrid"))
    image = toy.planted(toy.inliers(2, 0), 0.3).image
    expected, _ = model.score(image)
    channels_last(model.networks)
    wide = [one for one in model.networks.parameters() if one.dim() == 4 and min(one.shape) > 1]
    assert all(one.is_contiguous(memory_format=torch.channels_last) for one in wide)
    torch.testing.assert_close(model.score(image)[0], expected)


class Types(Detector):
    """Remembers the types of what it is shown."""

    kind, paper, fit_passes = "fit", "none", (Pass("fit"),)

    def __init__(self):
        super().__init__()
        self.seen = []

    @property
    def needs(self):
        return ("colour",)

    def options(self):
        return {}

    def look(self, segmenter, image):
        found = segmenter(image, self.needs)
        self.seen.append(found.logits.dtype)
        return found

    def update(self, segmentation, batch, name):
        tensors = (segmentation.logits, segmentation.features["colour"], batch.image)
        self.seen += [one.dtype for one in tensors]
        assert not torch.is_autocast_enabled("cpu")

    def finish(self, name):
        self.seen.append(name)

    def score(self, segmentation, image):
        return image[:, 0]


def test_in_half_precision_a_fit_looks_so_and_counts_in_float32():
    model = Model(toy.ToySegmenter(), Types())
    model.precision = "bf16"
    fit(model, FRAMES, batch=12)
    (one,) = model.detector.fit_passes
    assert model.detector.seen == [torch.bfloat16, *[torch.float32] * 3, one.name]


@pytest.mark.parametrize(("precision", "off"), [("f32", 1e-5), ("bf16", 0.05)])
def test_a_fit_in_batches_finds_the_statistics_of_one_by_one(precision, off):
    exact, other = (Model(toy.ToySegmenter(), DETECTORS.build("mahalanobis")) for _ in range(2))
    fit(exact, FRAMES)
    other.precision = precision
    fit(other, FRAMES, batch=5)
    for key, value in exact.detector.state_dict().items():
        found = other.detector.state_dict()[key]
        assert found.dtype == value.dtype
        if value.is_floating_point():
            difference = (found - value).norm() / value.norm().clamp_min(1e-9)
            assert difference <= off, key


def test_calibration_in_batches_sees_the_same_scores():
    model = Model(toy.ToySegmenter(), DETECTORS.build("energy"))
    alone, together = (list(inlier_scores(model, FRAMES, size)) for size in (1, 5))
    assert len(alone) == len(together) == 12
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-5)


def test_what_is_read_ahead_comes_in_order_and_with_its_errors():
    begun, most = [], []

    def read(number):
        begun.append(number)
        if number == 5:
            raise ValueError(number)
        return 2 * number

    found = []
    for number, coming in ahead(read, range(8), threads=3, further=3):
        most.append(len(begun) - number)
        found.append((number, 5 if coming.exception() else coming.result()))
    assert found == [(n, 5 if n == 5 else 2 * n) for n in range(8)]
    assert max(most) <= 4


def test_what_is_not_asked_for_any_more_is_not_read():
    read = []
    for _ in ahead(read.append, range(1000), threads=2, further=4):
        break
    assert len(read) <= 5


def test_a_memory_is_shared_by_threads_and_empty_in_another_process():
    memory = Memory(limit=80)
    read = [threading.Thread(target=_use, args=(memory,)) for _ in range(4)]
    for one in read:
        one.start()
    for one in read:
        one.join()
    assert memory.used == 8 * len(memory) <= 80
    assert len(pickle.loads(pickle.dumps(memory))) == 0
    assert pickle.loads(pickle.dumps(memory)).limit == 80


def _use(memory):
    rng = np.random.default_rng()
    for key in rng.integers(0, 30, 3000).tolist():
        assert memory.get(key, lambda key=key: np.array([key]))[0] == key
