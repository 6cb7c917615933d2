"""Windows that slide: where they must change nothing, and what they refuse."""

from __future__ import annotations

import itertools
from fractions import Fraction

import pytest
import torch
from torch import nn

import roadanomaly
from roadanomaly.errors import FeatureError, KindError, OptionError
from roadanomaly.model import Model
from roadanomaly.segmenters import sliding
from roadanomaly.segmenters.base import FeatureInfo, Segmenter
from roadanomaly.segmenters.sliding import Line, SlidingSegmenter
from roadanomaly.types import Masks
from tests.contracts.tiny import CLASSES, TRANSFORMERS

REACH = 16
"""Pixels that the small network sees beside a cell, at most."""


class Near(Segmenter):
    """Two convolutions: features at strides 2 and 4, logits at stride 4 from the latter."""

    default_feature = classified = "coarse"

    def __init__(self, classes=CLASSES):
        super().__init__(classes, divisor=8)
        torch.manual_seed(0)
        self.fine = nn.Conv2d(3, 6, 3, stride=2, padding=1)
        self.coarse = nn.Conv2d(6, 8, 3, stride=2, padding=1)
        self.last = nn.Conv2d(8, len(classes), 1)
        self.features = {"fine": FeatureInfo(6, 2), "coarse": FeatureInfo(8, 4)}

    def maps(self, image, features):
        fine = self.fine(image)
        coarse = self.coarse(fine.relu())
        named = {"fine": fine, "coarse": coarse}
        return self.classify(coarse), {name: named[name] for name in features}

    def classify(self, feature):
        return self.last(feature)

    def options(self):
        return {"classes": self.classes}


class NearMasks(Near):
    answers = ("evidence", "masks")
    classified = ""

    def maps(self, image, features):
        logits, found = super().maps(image, features)
        return Masks(torch.eye(4, 6).expand(len(image), -1, -1), logits[:, :4]), found


class Neighbours(Near):
    def __init__(self, classes=CLASSES):
        super().__init__(classes)
        self.last = nn.Conv2d(8, len(classes), 3, padding=1)


@pytest.fixture
def known(monkeypatch):
    """Put the networks of this file into the catalogue."""
    entries = {one.__name__: f"{__name__}:{one.__name__}" for one in (Near, NearMasks, Neighbours)}
    monkeypatch.setattr(sliding.SEGMENTERS, "entries", sliding.SEGMENTERS.entries | entries)


def slid(name="Near", window=(64, 64), overlap=0.5, **options):
    return SlidingSegmenter({"name": name, **options}, window, overlap).eval()


def images(*size):
    return torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0))


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("overlap", [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9])
def test_the_step_is_the_exact_share_rounded_down_to_cells(overlap):
    network, window, unit = slid(window=(8, 640), overlap=overlap), 640, 8
    exact = window * (1 - Fraction(str(overlap)))
    step = int(exact / unit) * unit
    seen = []
    network.segmenter.register_forward_pre_hook(lambda module, given: seen.append(given[0].shape))
    with torch.inference_mode():
        network(images(8, 960))
    assert len(seen) == len(range(0, 960 - window, step)) + 1
    assert {shape[-1] for shape in seen} == {window}


@pytest.mark.usefixtures("known")
class TestNear:
    def test_an_image_no_larger_than_the_window_is_segmented_as_without(self):
        image = images(64, 50)
        found, plain = slid()(image, ["fine"]), Near()(image, ["fine"])
        assert torch.equal(found.logits, plain.logits)
        assert torch.equal(found.features["fine"], plain.features["fine"])
        assert (found.size, found.padded) == (plain.size, plain.padded)

    @pytest.mark.parametrize("size", [(150, 203), (64, 130), (40, 300)])
    @torch.inference_mode()
    def test_a_network_that_sees_less_than_the_overlap_answers_as_without(self, size):
        """Cells at a window's edge miss their neighbours; they are those that do not count."""
        image = images(*size)
        found, plain = slid()(image, ["fine", "coarse"]), Near()(image, ["fine", "coarse"])
        assert found.size == plain.size
        torch.testing.assert_close(found.logits, plain.logits, rtol=0, atol=1e-5)
        for name in ("fine", "coarse"):
            torch.testing.assert_close(
                found.features[name], plain.features[name], rtol=0, atol=1e-5
            )

    @torch.inference_mode()
    def test_without_overlap_each_cell_comes_from_its_window(self):
        image = images(128, 64)
        found = slid(overlap=0.0)(image).logits
        parts = [Near()(part).logits for part in image.split(64, dim=2)]
        torch.testing.assert_close(found, torch.cat(parts, 2))

    def test_gradients_are_those_of_the_plain_pass(self):
        image, weights = images(64, 128)[:1], []
        for segmenter in (slid(), Near()):
            segmenter(image).logits.square().mean().backward()
            weights.append([one.grad for one in segmenter.parameters()])
        for found, plain in zip(*weights, strict=True):
            torch.testing.assert_close(found, plain, rtol=1e-4, atol=1e-6)

    def test_an_affine_classifier_may_be_asked_and_one_of_neighbours_not(self):
        segmenter = slid(overlap=0.25)
        found = segmenter(images(100, 90), ["coarse"])
        alone = segmenter.classify(found.features["coarse"])
        torch.testing.assert_close(alone, found.logits, rtol=0, atol=1e-5)
        with pytest.raises(FeatureError, match="no classifier that can be asked alone"):
            slid("Neighbours").classify(torch.zeros(1, 8, 4, 4))

    def test_evidence_is_merged_and_masks_are_not(self):
        segmenter, image = slid("NearMasks"), images(64, 130)
        found, plain = segmenter(image), NearMasks()(image)
        assert segmenter.answers == ("evidence",)
        assert found.kind == "evidence"
        assert found.masks is None
        torch.testing.assert_close(found.logits, plain.logits, rtol=0, atol=1e-5)
        assert set(segmenter.loss(found, torch.zeros(2, 64, 130))) == {"cross_entropy"}
        with pytest.raises(KindError, match="reads masks"):
            Model(segmenter, roadanomaly.detector("rba"))


@pytest.mark.parametrize("overlap", [0, 8, 16, 24, 40, 56])
@pytest.mark.parametrize("total", [64, 72, 136, 200])
def test_every_cell_counts_and_neighbours_share_one(total, overlap):
    line = Line(total, 64, 64 - overlap)
    assert line.starts[0] == 0
    assert line.starts[-1] == total - 64
    assert all(b - a <= 64 - overlap for a, b in itertools.pairwise(line.starts))
    for stride in (1, 4, 8):
        counted = torch.zeros(total // stride)
        for start in line.starts:
            counted[start // stride : (start + 64) // stride] += line.weights(start, stride)
        assert counted.min() > 0
    if overlap <= 32 and (total - 64) % (64 - overlap) == 0:
        torch.testing.assert_close(counted, torch.ones(total // 8))


@torch.inference_mode()
def test_a_network_of_one_size_sees_windows_of_it(tmp_path):
    config = {"model_type": "eomt", **TRANSFORMERS["eomt"]}
    inner = {"name": "transformers", "config": config, "classes": CLASSES}
    segmenter = roadanomaly.segmenter("sliding", segmenter=inner, window=[64, 64]).eval()
    found = segmenter(images(50, 130), ["decoder", "block1"])
    assert found.padded == (64, 144)
    assert found.features["block1"].shape == (2, 16, 4, 9)
    assert torch.isfinite(found.image_logits()).all()
    assert found.image_logits().shape == (2, len(CLASSES), 50, 130)


@pytest.mark.slow
def test_a_saved_model_slides_as_before(tmp_path):
    inner = {"name": "espnetv2", "scale": 0.5}
    segmenter = roadanomaly.segmenter(
        "sliding", segmenter=inner, window=[64, 80], overlap=0.25, classes=CLASSES
    )
    assert segmenter.classes == CLASSES
    model = Model(segmenter, roadanomaly.detector("energy"))
    model.save(tmp_path / "model")
    again = roadanomaly.load(tmp_path / "model")
    assert again.segmenter.options() == segmenter.options()
    image = images(100, 90)
    assert torch.equal(again.score(image)[0], model.score(image)[0])


def test_mistakes_are_said():
    inner = {"name": "espnetv2", "scale": 0.5}
    with pytest.raises(OptionError, match=r"`overlap` is a share .* not 1.0"):
        roadanomaly.segmenter("sliding", segmenter=inner, window=[64, 64], overlap=1.0)
    with pytest.raises(OptionError, match=r"must be \[height, width\]"):
        roadanomaly.segmenter("sliding", segmenter=inner, window=[64])
    with pytest.raises(OptionError, match="a segmenter needs a `name:`"):
        roadanomaly.segmenter("sliding", segmenter={}, window=[64, 64])
