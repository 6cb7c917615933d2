"""The closed set is judged by what a model answers, which need not be what its network says."""

import numpy as np
import pytest
import torch
from sklearn.metrics import jaccard_score

import roadanomaly
from roadanomaly.evaluation.known_classes import closed_set
from roadanomaly.model import Model
from tests.contracts import toy


@pytest.fixture(autouse=True)
def known_toy(monkeypatch):
    monkeypatch.setitem(roadanomaly.SEGMENTERS.entries, "toy", "tests.contracts.toy:ToySegmenter")


def network(seed):
    found = toy.ToySegmenter().eval()
    with torch.no_grad():
        for one in found.parameters():
            one += 3 * torch.randn(one.shape, generator=torch.Generator().manual_seed(seed))
    return found


def test_an_ensemble_is_judged_by_its_mean_distribution(tmp_path):
    networks = [network(seed) for seed in range(3)]
    for number, one in enumerate(networks):
        Model(one, roadanomaly.detector("msp")).save(tmp_path / str(number))
    members = [{"run": str(tmp_path / str(number))} for number in range(3)]
    ensemble = Model(networks[0], roadanomaly.detector("ensemble", members=members))
    ensemble.eval()
    frames = toy.Frames(*(toy.inliers(1, seed) for seed in range(3)))
    chances, labels = [], []
    with torch.inference_mode():
        for frame in frames:
            image = frame.image[None].float() / 255
            chances.append([one(image).image_logits().softmax(1)[0].numpy() for one in networks])
            labels.append(frame.label.numpy())

    def miou(predicted):
        known = np.stack(labels) < len(toy.CLASSES)
        true = np.stack(labels)[known]
        return jaccard_score(
            true, np.stack(predicted)[known], average="macro", labels=np.unique(true)
        )

    expected = miou([np.mean(one, 0).argmax(0) for one in chances])
    assert closed_set(ensemble, frames).miou == pytest.approx(expected)
    assert expected != pytest.approx(miou([one[0].argmax(0) for one in chances]))


def test_draws_begin_anew_with_each_frame():
    """So frames before one, and runs before this one, change nothing of its classes."""
    options = {"passes": 2, "at": "classifier", "rate": 0.9}
    model = Model(network(0), roadanomaly.detector("mc_dropout", **options))
    one, other = (toy.inliers(1, seed) for seed in range(2))

    def confusion(*batches):
        return closed_set(model.eval(), toy.Frames(*batches)).confusion

    first = confusion(one)
    assert np.array_equal(first, confusion(one))
    assert np.array_equal(confusion(one, other), first + confusion(other))
