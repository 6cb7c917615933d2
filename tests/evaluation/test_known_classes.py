"""The closed set is judged by what a model answers, which need not be what its network says."""

import numpy as np
import pytest
import torch
from sklearn.metrics import jaccard_score

import roadanomaly
from roadanomaly.detectors.head import Head
from roadanomaly.evaluation.evaluate import evaluate
from roadanomaly.evaluation.known_classes import closed_set
from roadanomaly.evaluation.sources import NetworkScores
from roadanomaly.model import Model
from roadanomaly.report.tables.results import extra_tables
from tests.contracts import toy
from tests.evaluation.scenes import Scenes, job


@pytest.fixture(autouse=True)
def known_toy(monkeypatch):
    monkeypatch.setitem(roadanomaly.SEGMENTERS.entries, "toy", "tests.contracts.toy:ToySegmenter")


def network(seed):
    found = toy.ToySegmenter().eval()
    with torch.no_grad():
        for one in found.parameters():
            one += 3 * torch.randn(one.shape, generator=torch.Generator().manual_seed(seed))
    return found


def ensemble_of(networks, folder):
    """An ensemble on the first of the networks, whose class maps are the mean's."""
    for number, one in enumerate(networks):
        Model(one, roadanomaly.detector("msp")).save(folder / str(number))
    members = [{"run": str(folder / str(number))} for number in range(len(networks))]
    return Model(networks[0], roadanomaly.detector("ensemble", members=members)).eval()


def test_an_ensemble_is_judged_by_its_mean_distribution(tmp_path):
    networks = [network(seed) for seed in range(3)]
    ensemble = ensemble_of(networks, tmp_path)
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


@pytest.mark.parametrize("order", [("msp", "energy", "ensemble"), ("ensemble", "msp", "energy")])
def test_an_evaluation_says_of_each_detector_what_its_own_model_says(order, tmp_path):
    networks = [network(seed) for seed in range(3)]
    models = {"ensemble": ensemble_of(networks, tmp_path)}
    models |= {name: Model(networks[0], roadanomaly.detector(name)) for name in ("msp", "energy")}
    heads = {name: models[name].head for name in order}
    frames = Scenes()
    findings = evaluate(job(NetworkScores(networks[0], heads), frames))
    own = {name: closed_set(models[name], frames).miou for name in order}
    assert own["ensemble"] != pytest.approx(own["msp"])
    told = {found.detector: found.extra["closed set"]["miou"] for found in findings}
    assert told == pytest.approx(own)
    assert [row[1] for row in extra_tables(findings)["closed set"].rows] == list(order)
    alike = [found for found in findings if found.detector != "ensemble"]
    assert [row[1] for row in extra_tables(alike)["closed set"].rows] == ["all"]


def test_a_detector_that_asks_no_segmenter_leaves_the_classes_to_the_shared_pass():
    segmenter = network(0)
    heads = {name: Head(toy.prepared(name, segmenter)) for name in ("autoencoder", "msp")}
    beside = evaluate(job(NetworkScores(segmenter, heads)))
    assert extra_tables(beside)["closed set"].rows[0][1] == "all"
    (alone,) = evaluate(job(NetworkScores(segmenter, {"autoencoder": heads["autoencoder"]})))
    assert "closed set" not in alone.extra


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
