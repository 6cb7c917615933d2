"""Flips: the mean of two scores, of any head."""

from __future__ import annotations

import shutil

import pytest
import torch

import roadanomaly
from roadanomaly.detectors.flips import Flips
from roadanomaly.errors import KindError, OptionError, UserError
from roadanomaly.model import Model
from roadanomaly.refiners import REFINERS
from roadanomaly.runtimes.export import write_torchscript
from tests.contracts import toy
from tests.runtimes.models import calibrated


class Sloped(toy.ToySegmenter):
    """Says something else of a mirror image: its logits rise from left to right."""

    def maps(self, image, features):
        logits, maps = super().maps(image, features)
        rise = torch.linspace(0, 3, logits.shape[-1])
        return logits * (1 + rise), maps


def by_hand(model, image):
    one, _ = model.score(image)
    other, _ = model.score(image.flip(-1))
    return (one + other.flip(-1)) / 2


@pytest.mark.parametrize(
    ("name", "refiners"), [("energy", []), ("msp", [{"name": "smooth", "window": 3}])]
)
def test_it_is_the_mean_of_both(name, refiners):
    segmenter = Sloped()
    head = {"detector": {"name": name}, "refiners": refiners}
    parts = [REFINERS.from_spec(one) for one in refiners]
    image = toy.inliers(2, 0).image[..., 1:]  # an odd width is padded on one side
    expected = by_hand(Model(segmenter, roadanomaly.detector(name), refiners=parts), image)
    model = Model(segmenter, Flips(head))
    found, segmentation = model.score(image)
    torch.testing.assert_close(found, expected)
    assert not torch.allclose(found, Model(segmenter, roadanomaly.detector(name)).score(image)[0])
    shown = model.detector.explain(segmentation, image)
    torch.testing.assert_close((shown["as it stands"] + shown["mirrored"]) / 2, found)


def test_a_saved_head_comes_with_its_weights(tmp_path, monkeypatch):
    monkeypatch.setitem(roadanomaly.SEGMENTERS.entries, "toy", "tests.contracts.toy:ToySegmenter")
    segmenter = toy.ToySegmenter()
    model = Model(segmenter, roadanomaly.detector("mahalanobis"))
    toy.prepare(model)
    image = toy.inliers(2, 5).image
    expected = by_hand(model, image)
    model.save(tmp_path / "one")
    Model(segmenter, Flips({"run": str(tmp_path / "one")})).save(tmp_path / "both")
    shutil.rmtree(tmp_path / "one")
    again = roadanomaly.load(tmp_path / "both")
    torch.testing.assert_close(again.score(image)[0], expected)


class Keeping(roadanomaly.Detector):
    kind, paper, asks = "posthoc", "a test", ("state",)

    def options(self):
        return {}

    def score(self, segmentation, image):
        return image.mean(1)


def test_what_makes_no_sense_is_refused(monkeypatch, tmp_path):
    monkeypatch.setitem(roadanomaly.DETECTORS.entries, "keeping", f"{__name__}:Keeping")
    with pytest.raises(KindError, match="Keeping twice"):
        Flips({"detector": {"name": "keeping"}})
    with pytest.raises(OptionError, match="flips: a head is"):
        Flips({"name": "energy"})
    model = calibrated(Model(toy.ToySegmenter(), Flips({"detector": {"name": "energy"}})))
    with pytest.raises(UserError, match="several passes"):
        write_torchscript(model, (32, 32), tmp_path / "graph.pt")
