"""Views: the mean of the scores of an image and of other views of it, of any head."""

from __future__ import annotations

import shutil

import pytest
import torch
from torch.nn import functional

import roadanomaly
from roadanomaly.detectors.views import Views
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
    model = Model(segmenter, Views(head))
    found, segmentation = model.score(image)
    torch.testing.assert_close(found, expected)
    assert not torch.allclose(found, Model(segmenter, roadanomaly.detector(name)).score(image)[0])
    shown = model.detector.explain(segmentation, image)
    torch.testing.assert_close((shown["as it stands"] + shown["mirrored"]) / 2, found)


def test_other_sizes_are_scored_and_brought_back():
    segmenter = Sloped()
    image = toy.inliers(2, 0).image[..., 1:]
    model = Model(segmenter, roadanomaly.detector("energy"))
    size = image.shape[-2:]

    def seen(scale):
        smaller = functional.interpolate(
            image,
            [round(scale * side) for side in size],
            mode="bilinear",
            align_corners=False,
            antialias=True,
        )
        score, _ = model.score(smaller)
        return functional.interpolate(
            score[:, None], size, mode="bilinear", align_corners=False, antialias=True
        )[:, 0]

    expected = (model.score(image)[0] + seen(0.5) + seen(1.5)) / 3
    views = Views({"detector": {"name": "energy"}}, mirror=False, scales=[0.5, 1.5])
    found, segmentation = Model(segmenter, views).score(image)
    torch.testing.assert_close(found, expected)
    assert list(views.explain(segmentation, image)) == ["as it stands", "at 0.5", "at 1.5"]


def test_every_size_is_mirrored():
    views = Views({"detector": {"name": "energy"}}, scales=[0.5])
    assert views.others == [(1.0, True), (0.5, False), (0.5, True)]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"scales": [1]}, "without 1"),
        ({"scales": [0.01]}, "is 0.01; give shares"),
        ({"mirror": False}, "no other view"),
    ],
)
def test_views_that_give_nothing_are_refused(options, said):
    with pytest.raises(OptionError, match=said):
        Views({"detector": {"name": "energy"}}, **options)


def test_a_saved_head_comes_with_its_weights(tmp_path, monkeypatch):
    monkeypatch.setitem(roadanomaly.SEGMENTERS.entries, "toy", "tests.contracts.toy:ToySegmenter")
    segmenter = toy.ToySegmenter()
    model = Model(segmenter, roadanomaly.detector("mahalanobis"))
    toy.prepare(model)
    image = toy.inliers(2, 5).image
    expected = by_hand(model, image)
    model.save(tmp_path / "one")
    Model(segmenter, Views({"run": str(tmp_path / "one")})).save(tmp_path / "both")
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
    with pytest.raises(KindError, match="`keeping` twice"):
        Views({"detector": {"name": "keeping"}})
    with pytest.raises(OptionError, match="views: a head is"):
        Views({"name": "energy"})
    model = calibrated(Model(toy.ToySegmenter(), Views({"detector": {"name": "energy"}})))
    with pytest.raises(UserError, match="several passes"):
        write_torchscript(model, (32, 32), tmp_path / "graph.pt")
