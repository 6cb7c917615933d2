"""DaCUP: triplets and distances against plain loops, the phases, and the inpainted blobs."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

import roadanomaly
from roadanomaly.detectors.inpainting import paint_over, perceptual_check, suspicious_blobs
from roadanomaly.detectors.road.ground_labels import ANOMALY, NEITHER, NORMAL
from roadanomaly.detectors.road.road_embedding import RoadEmbedding, majority, triplet_loss
from roadanomaly.errors import OptionError
from roadanomaly.types import IGNORE
from tests.contracts import toy


def attached(**options):
    detector = roadanomaly.detector("dacup", **{"inpaint": False, **options})
    segmenter = toy.ToySegmenter()
    detector.attach(segmenter)
    return segmenter, detector


def loss_of(segmenter, detector, batch):
    return detector.loss(segmenter(batch.image, detector.needs), batch)


def by_loops(embedding, target):
    """The triplet loss anchor by anchor."""
    vectors = embedding.movedim(1, -1).reshape(-1, embedding.shape[1]).double().numpy()
    kinds = target.reshape(-1).numpy()
    road, strange = vectors[kinds == NORMAL], vectors[kinds == ANOMALY]
    hinge, cosines = [], []
    for number, anchor in enumerate(road):
        others = np.delete(road, number, 0)
        positive = min(others, key=lambda one: np.linalg.norm(anchor - one))
        reach = np.linalg.norm(anchor - positive)
        far = [one for one in strange if np.linalg.norm(anchor - one) > reach]
        if far:
            negative = min(far, key=lambda one: np.linalg.norm(anchor - one))
        else:
            negative = max(strange, key=lambda one: np.linalg.norm(anchor - one))
        hinge.append(max(0, reach - np.linalg.norm(anchor - negative) + 1))
        a, b = negative - anchor, positive - anchor
        cosines.append(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    return np.mean(hinge) + 0.2 * np.mean(cosines)


@pytest.mark.parametrize("spread", [0.3, 3.0])
def test_triplets_are_those_of_the_loops(spread):
    generator = torch.Generator().manual_seed(0)
    embedding = spread * torch.randn(2, 5, 4, 6, generator=generator)
    target = torch.randint(0, 3, (2, 4, 6), generator=generator)
    target[target == 2] = NEITHER
    found = triplet_loss(embedding, target)
    assert found.item() == pytest.approx(by_loops(embedding, target), rel=1e-4)


def test_without_road_or_anomaly_the_triplets_cost_nothing():
    embedding = torch.rand(1, 5, 4, 6, requires_grad=True)
    for kind in (NORMAL, ANOMALY, NEITHER):
        loss = triplet_loss(embedding, torch.full((1, 4, 6), kind))
        loss.backward()
        assert loss.item() == 0
    assert embedding.grad.abs().max() == 0


def test_distance_is_to_the_images_own_road_or_to_the_typical_one():
    embed = RoadEmbedding(3, 4, 2)
    embedding = torch.tensor([[[3.0, 5.0, 0.0]], [[4.0, 4.0, 0.0]]]).expand(2, 2, 1, 3).clone()
    embed.remember(
        torch.tensor([[[[1.0, 9.0]], [[0.0, 9.0]]]]), torch.tensor([[[NORMAL, ANOMALY]]])
    )
    road = torch.tensor([[[True, True, False]], [[False, False, False]]])
    found = embed.distance(embedding, road)
    expected = [[[1, 1, np.hypot(4, 4)]], [[np.hypot(2, 4), np.hypot(4, 4), 1]]]
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4)


def test_a_cell_is_what_covers_most_of_it():
    target = torch.tensor([[[1, 1, 0, -100], [1, 0, -100, -100]]])
    assert majority(target, (1, 2)).tolist() == [[[NORMAL, NEITHER]]]


def test_phases_follow_the_share_of_training_and_survive_a_resume():
    segmenter, detector = attached(phases=(0.25, 0.5))
    assert detector.weights() == (0.6, 0.2, 0.2)
    detector.expect(8)
    detector.train()
    batch = toy.planted(toy.inliers(2, 0), 0.2)
    seen = []
    for number in range(8):
        if number == 5:
            resumed = copy.deepcopy(detector)
            resumed.load_state_dict(detector.state_dict())
            detector = resumed.train()
        terms = loss_of(segmenter, detector, batch)
        seen.append([terms["coupling"].item() > 0, terms["reconstruction"].item() > 0])
    assert seen == [[False, False]] * 2 + [[False, True]] * 2 + [[True, True]] * 4
    detector.eval()
    loss_of(segmenter, detector, batch)
    assert int(detector.passes) == 8


def test_void_teaches_nothing():
    """What the image shows in void rows changes no term but by the pixels around."""
    segmenter, detector = attached()
    batch = toy.planted(toy.inliers(2, 0), 0.2)
    batch.label[:] = IGNORE
    terms = loss_of(segmenter, detector.eval(), batch)
    assert all(term.item() == 0 for term in terms.values())


def test_the_fast_variant_has_no_encoder():
    _, detector = attached()
    assert detector.encoder is None
    assert detector.options()["encoder"] is None


class Colours(nn.Module):
    """An encoder whose only map is the image."""

    strides, channels = (1,), (3,)

    def forward(self, image):
        return [image]


def scene():
    """Grey ground below, with a red box on it and a red box above it; both badly rebuilt."""
    image = torch.full((1, 3, 64, 96), 0.5)
    error = torch.zeros(1, 64, 96)
    for box in (np.s_[:, 44:52, 40:50], np.s_[:, 4:12, 40:50]):
        image.movedim(1, -1)[box] = torch.tensor([1.0, 0.0, 0.0])
        error[box] = 0.9
    ground = torch.zeros(1, 64, 96, dtype=torch.bool)
    ground[:, 30:] = True
    ground[:, 42:54, 38:52] = False
    return image, error, ground


def test_blobs_are_what_stands_in_a_hole_of_the_ground():
    _, error, ground = scene()
    expected = torch.zeros(1, 64, 96, dtype=torch.bool)
    expected[:, 44:52, 40:50] = True
    assert torch.equal(suspicious_blobs(error, ground), expected)


def test_a_blob_is_painted_like_its_surroundings():
    image, error, ground = scene()
    painted = paint_over(image, suspicious_blobs(error, ground))
    assert (painted[..., 30:, :] - 0.5).abs().max() < 0.01
    assert painted[0, 0, 8, 45] == 1


def test_the_difference_is_that_of_the_painted_blob():
    image, error, ground = scene()
    found, _ = perceptual_check(image, error, ground, Colours(), (64, 96))
    assert found[0, 44:52, 40:50].min() == pytest.approx(0.5, abs=0.01)
    assert found[0, :44].max() == 0
    nothing, painted = perceptual_check(image, 0 * error, ground, Colours(), (64, 96))
    assert nothing.max() == 0
    assert torch.equal(painted, image)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"phases": (0.5, 0.2)}, "phases"),
        ({"inpaint": True, "encoder": None}, "encoder"),
        ({"inpaint_size": (10,)}, "inpaint_size"),
    ],
)
def test_values_that_cannot_work_are_refused(options, said):
    with pytest.raises(OptionError, match=said):
        attached(**options)
