"""Nearest neighbours: distances of scikit-learn, scales of stated references, what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.neighbors import NearestNeighbors

import roadanomaly
from roadanomaly.detectors.density.draw_cells import draw_cells
from roadanomaly.errors import DataError, OptionError
from roadanomaly.fitting import split_for
from roadanomaly.model import Model
from roadanomaly.types import VOID, Batch, Segmentation
from tests.contracts import toy
from tests.contracts.tiny import network

FRAMES = toy.Frames(*(toy.inliers(4, seed) for seed in range(3)))


def fitted(**options):
    torch.manual_seed(0)
    model = Model(toy.ToySegmenter(), roadanomaly.detector("knn", per_frame=50, **options))
    toy.walk(model, FRAMES, held_out=False)
    bank = model.detector.bank.rows.clone()
    toy.walk(model, FRAMES, held_out=True)
    return model, bank.numpy()


@pytest.mark.parametrize("k", [1, 3])
def test_distances_are_those_of_scikit_learn(k):
    model, bank = fitted(k=k, energy=False)
    search = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(bank)
    image = toy.planted(toy.inliers(2, 9), 0.25).image
    score, found = model.score(image)
    vectors = found.features["colour"].movedim(1, -1)
    expected = search.kneighbors(vectors.flatten(0, 2).numpy())[0].mean(1)
    distances = model.detector.distance(found)
    np.testing.assert_allclose(distances.flatten(), expected, atol=1e-5)
    scaled = found.to_image(distances) / model.detector.farthest
    torch.testing.assert_close(score, scaled)


@pytest.mark.parametrize("energy", [True, False])
def test_what_it_shows_adds_up_to_its_score(energy):
    model, _ = fitted(energy=energy)
    image = toy.planted(toy.inliers(2, 9), 0.25).image
    score, found = model.score(image)
    shown = model.detector.explain(found, image)
    assert list(shown) == ["distance to inlier features", "energy"][: 1 + energy]
    torch.testing.assert_close(sum(shown.values()), score)


def test_references_are_held_out_and_their_greatest_score_is_one():
    """Of all held-out frames, searched here once more: 50 cells of each, in the walk's order."""
    model, bank = fitted()
    held = split_for(model.detector, FRAMES, 0.25).held_out
    search = NearestNeighbors(n_neighbors=3, algorithm="brute").fit(bank)
    distances, energies = [], []
    for frame in held:
        _, found = model.score(frame.image[None] / 255)
        label = frame.label[None]
        cells, _ = draw_cells(found.features["colour"], found, label, 10**6, balanced=False)
        distances.append(search.kneighbors(cells.numpy())[0].mean(1).max())
        energy = -found.logits.logsumexp(1)[:, None]
        energies.append(draw_cells(energy, found, label, 10**6, balanced=False)[0].numpy())
    assert 0.3 * max(distances) < model.detector.farthest.item() <= max(distances) + 1e-5
    low, high = np.concatenate(energies).min(), np.concatenate(energies).max()
    lowest, spread = model.detector.lowest.item(), model.detector.spread.item()
    assert low - 1e-4 <= lowest < lowest + spread <= high + 1e-4


def test_cells_are_those_of_inliers_and_alike_of_classes_where_asked():
    batch = toy.planted(toy.inliers(1, 0), 0.3)
    batch.label[:, 0] = VOID
    seen = toy.ToySegmenter()(batch.image, ("colour",))
    vectors, label = draw_cells(seen.features["colour"], seen, batch.label, 10**6, balanced=False)
    at_cells = batch.label[:, 1::2, 1::2]
    assert len(vectors) == (at_cells < VOID).sum()
    assert torch.equal(vectors[:, :3].argmax(1), label)
    _, label = draw_cells(seen.features["colour"], seen, batch.label, 30, balanced=True)
    counts = label.bincount()
    assert counts.max() == 30 // (counts > 0).sum()


def test_a_thinned_bank_is_as_large_as_said_and_saved():
    model, bank = fitted(thin=20)
    assert len(bank) == 20
    again = Model(model.segmenter, roadanomaly.detector("knn", thin=20))
    again.detector.load_state_dict(model.detector.state_dict())
    image = toy.inliers(1, 5).image
    assert torch.equal(again.score(image)[0], model.score(image)[0])


@pytest.mark.parametrize(
    ("on", "feature"),
    [
        ("transformers dinov3_vit", "keys1"),
        ("transformers segformer", "decoder"),
        ("smp", "decoder"),
    ],
)
def test_it_takes_the_last_keys_where_blocks_have_one_stride(on, feature):
    detector = Model(network(on), roadanomaly.detector("knn")).detector
    assert detector.needs == (feature,)


def test_too_few_vectors_are_refused():
    model = Model(toy.ToySegmenter(), roadanomaly.detector("knn"))
    batch = toy.inliers(1, 0)
    seen = model.segmenter(batch.image, model.detector.needs)
    void = Batch(batch.image, torch.full_like(batch.label, VOID), batch.ids)
    model.detector.update(seen, void, "bank")
    with pytest.raises(DataError, match="fit on more labelled frames"):
        model.detector.finish("bank")
    model.detector.update(seen, batch, "bank")
    model.detector.finish("bank")
    model.detector.update(seen, void, "references")
    with pytest.raises(DataError, match="held_out"):
        model.detector.finish("references")


@pytest.mark.parametrize("options", [{"k": 0}, {"quantile": 0.2}, {"k": 5, "thin": 4}])
def test_what_makes_no_sense_is_refused(options):
    with pytest.raises(OptionError, match="knn"):
        roadanomaly.detector("knn", **options)


def test_of_evidence_the_energy_is_that_of_its_sum():
    model, _ = fitted()
    evidence = torch.tensor([0.2, 0.3, 0.1]).view(1, 3, 1, 1).expand(1, 3, 10, 14)
    feature = torch.rand(1, 4, 10, 14)
    one = Segmentation(evidence, (20, 28), (20, 28), features={"colour": feature}, kind="evidence")
    other = Segmentation(evidence.log(), (20, 28), (20, 28), features={"colour": feature})
    image = torch.zeros(1, 3, 20, 28)
    torch.testing.assert_close(model.detector.score(one, image), model.detector.score(other, image))
