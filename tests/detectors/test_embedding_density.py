"""Embedding density: what is drawn, projected, learned, normalised and aggregated."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from scipy.stats import rankdata

import roadanomaly
from roadanomaly.detectors import DETECTORS
from roadanomaly.detectors.density.draw_pixels import draw_pixels
from roadanomaly.detectors.density.embedding_density import EmbeddingDensity
from roadanomaly.detectors.density.frame_standard import standardise_frame
from roadanomaly.detectors.density.layer_density import VectorDensity, WindowDensity
from roadanomaly.detectors.density.projection import Whitening
from roadanomaly.errors import DataError, OptionError
from roadanomaly.fitting import split_for
from roadanomaly.flows.map_flow import MapFlow
from roadanomaly.flows.vector_flow import VectorFlow
from roadanomaly.model import Model
from roadanomaly.segmenters.base import FeatureInfo
from roadanomaly.types import IGNORE
from tests.contracts import toy
from tests.contracts.tiny import network


class TwoLayers(toy.ToySegmenter):
    """The colours at stride 2, and products of them at stride 4."""

    def __init__(self):
        super().__init__()
        self.features = {"colour": FeatureInfo(4, 2), "product": FeatureInfo(3, 4)}

    def maps(self, image, features):
        logits, found = super().maps(image, ("colour",))
        colour = torch.nn.functional.avg_pool2d(found["colour"], 2)
        found["product"] = torch.stack(
            [colour[:, 0] * colour[:, 1], colour[:, 2], colour[:, 1] - colour[:, 2]], 1
        )
        return logits, {name: found[name] for name in features}


def trained(segmenter, planted=False, steps=40, **options):
    detector = EmbeddingDensity(**{"dimensions": 3, "hidden": 16, **options})
    toy.prepare(Model(segmenter, detector), steps, shade=0.3 if planted else None)
    return detector.eval()


def descend(parameters, loss, steps, rate):
    """Minimise `loss(step)` with Adam, the rate falling as half a cosine."""
    optimiser = torch.optim.Adam(parameters, rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for step in range(steps):
        optimiser.zero_grad()
        loss(step).backward()
        optimiser.step()
        schedule.step()


def test_whitening_gives_uncorrelated_values_of_deviation_1():
    mixing = torch.randn(5, 5)
    x = torch.randn(20_000, 5) @ mixing + 3
    whitening = Whitening(5, 3)
    whitening.fit(x)
    y = whitening(x)
    torch.testing.assert_close(y.mean(0), torch.zeros(3), rtol=0, atol=1e-3)
    torch.testing.assert_close(y.T.cov(correction=0), torch.eye(3), rtol=0, atol=1e-3)
    values = np.linalg.eigvalsh(np.cov(x.numpy().T, bias=True))[::-1][:3]
    rows = whitening.matrix.double().numpy()
    np.testing.assert_allclose(1 / np.linalg.norm(rows, axis=1) ** 2, values, rtol=1e-3)


def test_a_direction_that_never_varies_stays_bounded():
    x = torch.randn(1000, 3)
    x[:, 2] = 1
    whitening = Whitening(3, 3)
    whitening.fit(x)
    assert torch.isfinite(whitening(x)).all()
    assert whitening(x + 1e-3).abs().max() < 10


def test_drawn_pixels_carry_a_label_and_can_be_balanced():
    label = torch.full((20, 20), -1)
    label[:10], label[10, :10] = 0, 7
    drawn = draw_pixels(label, 40, balanced=False)
    assert len(drawn.unique(dim=0)) == 40
    assert (label[drawn[:, 0], drawn[:, 1]] >= 0).all()
    values = label[tuple(draw_pixels(label, 40, balanced=True).T)]
    assert (values == 7).sum() == 10
    assert (values == 0).sum() == 20
    assert len(draw_pixels(torch.full((4, 4), -1), 5, balanced=True)) == 0


@pytest.mark.slow
def test_vectors_flow_learns_a_known_gaussian():
    """To 0.02 nats; samples have its moments; the log-determinant is the Jacobian's."""
    factor = torch.tensor([[1.0, 0, 0], [0.7, 0.6, 0], [-0.4, 0.5, 0.5]])
    truth = torch.distributions.MultivariateNormal(torch.ones(3), scale_tril=factor)
    flow = VectorFlow(3, couplings=3, hidden=32)
    descend(flow.parameters(), lambda _: -flow.log_prob(truth.sample((512,))).mean(), 100, 2e-2)
    points = truth.sample((20_000,))
    with torch.no_grad():
        assert -0.005 < (truth.log_prob(points) - flow.log_prob(points)).mean() < 0.02
        drawn = flow.sample(20_000)
    torch.testing.assert_close(drawn.mean(0), torch.ones(3), rtol=0, atol=0.05)
    torch.testing.assert_close(drawn.T.cov(), factor @ factor.T, rtol=0, atol=0.08)
    x = points[0]
    latents, log_det = flow.transform(x)
    matrix = torch.autograd.functional.jacobian(lambda v: flow.transform(v)[0], x)
    assert log_det.item() == pytest.approx(torch.linalg.slogdet(matrix)[1].item(), abs=1e-4)
    torch.testing.assert_close(flow.inverse(latents), x, rtol=0, atol=1e-5)
    normal = torch.distributions.Normal(0, 1).log_prob(latents).sum()
    assert flow.log_prob(x).item() == pytest.approx((normal + log_det).item(), abs=1e-4)


@pytest.fixture(scope="module")
def two():
    segmenter = TwoLayers()
    return segmenter, trained(segmenter, features=["colour", "product"])


@pytest.mark.slow
def test_min_takes_the_least_likely_layer(two):
    segmenter, detector = two
    batch = toy.planted(toy.inliers(2, 9), 0.3)
    found = segmenter(batch.image, detector.needs)
    with torch.no_grad():
        both = detector.score(found, batch.image)
        single = []
        for index, name in enumerate(detector.features):
            vectors = found.features[name].permute(0, 2, 3, 1)
            layer = detector.densities[name]
            log_p = layer.flow.log_prob(layer.whitening(vectors))
            cost = (-log_p - detector.mean[index]) / detector.deviation[index]
            single.append(found.to_image(cost))
    torch.testing.assert_close(both, torch.maximum(*single), rtol=1e-4, atol=1e-4)


def test_smooth_averages_neighbouring_cells_of_a_layer():
    segmenter = TwoLayers()
    detector = trained(segmenter, features=["product"], smooth=3)
    batch = toy.planted(toy.inliers(1, 9), 0.3)
    found = segmenter(batch.image, detector.needs)
    with torch.no_grad():
        score = detector.score(found, batch.image)
        cost = detector.densities["product"].cost(found.features["product"])[0]
    mean = torch.empty_like(cost)
    for y, x in np.ndindex(*cost.shape):
        mean[y, x] = cost[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2].mean()
    expected = (found.to_image(mean[None]) - detector.mean) / detector.deviation
    torch.testing.assert_close(score, expected, rtol=1e-4, atol=1e-4)


def test_standardised_frames_forget_offset_and_gain():
    """Against numpy; padding does not count; one offset and gain for all is taken out."""
    maps = 3 + torch.randn(2, 5, 8, 10) * torch.tensor([2.0, 1, 1, 0.5, 0])[:, None, None]
    maps[..., 6:, :] = 50
    found = standardise_frame(maps, (6 / 8, 1.0))
    shown = maps[..., :6, :].double().numpy()
    deviation = shown.std((2, 3), keepdims=True)
    whole = np.sqrt(np.square(deviation).mean(1, keepdims=True))
    expected = (shown - shown.mean((2, 3), keepdims=True)) / (deviation + 0.1 * whole)
    np.testing.assert_allclose(found[..., :6, :].numpy(), expected, atol=1e-5)
    moved = standardise_frame(7 * maps - 4, (6 / 8, 1.0))
    torch.testing.assert_close(moved, found, rtol=1e-3, atol=1e-4)


def test_standardised_detector_scores_a_dimmed_frame_alike():
    segmenter = TwoLayers()
    detector = trained(segmenter, features=["colour"], standardise=True)
    batch = toy.planted(toy.inliers(2, 9), 0.3)
    found = segmenter(batch.image, detector.needs)
    with torch.no_grad():
        score = detector.score(found, batch.image)
        found.features["colour"] = 0.3 * found.features["colour"] + 2
        dimmed = detector.score(found, batch.image)
    torch.testing.assert_close(dimmed, score, rtol=1e-3, atol=1e-3)
    assert score[batch.negative].mean() > score[batch.known].mean() + 0.5


@pytest.mark.slow
def test_held_out_inliers_have_mean_0_and_deviation_1_in_each_layer(two):
    segmenter, detector = two
    batch = toy.inliers(16, 50)
    found = segmenter(batch.image, detector.needs)
    detector.aggregate = "mean"
    with torch.no_grad():
        score = detector.score(found, batch.image)[batch.known]
    detector.aggregate = "min"
    assert abs(score.mean().item()) < 0.5
    assert 0.2 < score.std().item() < 2.5


def test_the_normalisation_is_that_of_held_out_frames_alone():
    """Frames that are held in do not touch it, against moments taken by hand."""
    segmenter = toy.ToySegmenter()
    model = Model(segmenter, EmbeddingDensity(dimensions=3, hidden=16, per_frame=10_000))
    frames = toy.Frames(*(toy.inliers(4, seed) for seed in range(3)))
    toy.walk(model, frames, held_out=False)
    toy.walk(model, frames, held_out=True)
    held_out = split_for(model.detector, frames, 0.25).held_out
    assert 0 < len(held_out) < len(frames)
    costs = []
    for frame in held_out:
        found = segmenter(frame.image[None].float() / 255, model.detector.needs)
        with torch.no_grad():
            cost = model.detector.densities["colour"].cost(found.features["colour"])[0]
        costs.append(cost.repeat_interleave(2, 0).repeat_interleave(2, 1)[frame.truth == 0])
    expected = torch.cat(costs)
    torch.testing.assert_close(model.detector.mean[0], expected.mean(), rtol=1e-4, atol=1e-4)
    deviation = expected.std(correction=0)
    torch.testing.assert_close(model.detector.deviation[0], deviation, rtol=1e-4, atol=1e-4)


def test_no_gradient_enters_the_segmenter_and_an_empty_batch_moves_nothing():
    for window in (1, 4):
        model = Model(toy.ToySegmenter(), EmbeddingDensity(dimensions=3, hidden=8, window=window))
        toy.walk(model, toy.Frames(toy.inliers(4, 0), toy.inliers(4, 1)), held_out=False)
        batch, void = toy.inliers(2, 0), toy.inliers(2, 0)
        void.label.fill_(IGNORE)
        for one in (batch, void):
            model.detector.zero_grad()
            found = model.segmenter(one.image.requires_grad_(), model.detector.needs)
            sum(model.detector.loss(found, one).values()).backward()
            assert one.image.grad is None
            assert all(p.grad is None for p in model.segmenter.parameters())
            moved = sum(p.grad.abs().sum() for p in model.detector.parameters())
            assert (moved > 0) == (one is batch)


def test_the_loss_is_the_cost_of_the_drawn_places():
    model = Model(toy.ToySegmenter(), EmbeddingDensity(dimensions=3, per_frame=9999, noise=0.0))
    batch = toy.inliers(2, 0)
    toy.walk(model, toy.Frames(batch, toy.inliers(4, 1)), held_out=False)
    found = model.segmenter(batch.image, model.detector.needs)
    with torch.no_grad():
        loss = model.detector.loss(found, batch)
        cost = model.detector.densities["colour"].cost(found.features["colour"])[:, :8]
    assert list(loss) == ["nll_colour"]
    assert loss["nll_colour"].item() == pytest.approx(cost.mean().item(), rel=1e-5)


def test_a_model_with_options_of_an_older_version_loads(tmp_path):
    model = Model(network("espnetv2"), EmbeddingDensity(dimensions=2))
    model.detector.ready = True
    image = torch.rand(1, 3, 32, 48)
    expected = model.score(image)[0]
    path = model.save(tmp_path / "model") / "model.json"
    description = json.loads(path.read_text())
    description["format"], description["detector"]["epochs"] = 1, 20
    path.write_text(json.dumps(description))
    assert torch.equal(roadanomaly.load(tmp_path / "model").score(image)[0], expected)
    with pytest.raises(OptionError, match="`epochs` is not an option"):
        DETECTORS.build("embedding_density", {"epochs": 20})


@pytest.mark.slow
def test_logistic_regression_uses_labelled_anomalies_and_says_so():
    segmenter = TwoLayers()
    options = {"features": ["colour", "product"], "aggregate": "logistic"}
    detector = trained(segmenter, planted=True, **options)
    assert detector.supervision == "anomalies"
    assert EmbeddingDensity().supervision == "none"
    batch = toy.planted(toy.inliers(4, 33), 0.3)
    with torch.no_grad():
        score = detector.score(segmenter(batch.image, detector.needs), batch.image)
    ranks = rankdata(score.numpy().ravel()).reshape(score.shape) / score.numel()
    assert ranks[batch.negative.numpy()].mean() > 0.75
    with pytest.raises(DataError, match="needs labelled anomalies"):
        trained(segmenter, steps=0, **options)


@pytest.mark.slow
def test_half_precision_leaves_the_sum_of_the_layers_as_it_is(two, monkeypatch):
    detector, costs = two[1], 100 * torch.randn(50, 2)
    monkeypatch.setattr(detector, "aggregate", "mean")
    exact = detector.aggregated(costs)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(detector.aggregated(costs), exact)


@pytest.mark.slow
def test_windows_learn_what_single_vectors_cannot_see():
    """Stripes of two values, each as frequent as in noise: only their order is strange."""
    torch.manual_seed(0)
    columns = torch.arange(16)

    def maps(count, *, striped):
        signs = torch.randint(0, 2, (count, 1, 16, 16)) * 2.0 - 1
        stripes = ((columns + torch.randint(0, 2, (count, 1, 1, 1))) % 2 * 2.0 - 1).expand(
            count, 1, 16, 16
        )
        return torch.cat([stripes if striped else signs, torch.zeros(count, 1, 16, 16)], 1)

    def noisy(x):
        return x + 0.1 * torch.randn_like(x)

    def batch(rows, step, size):
        return rows[(torch.arange(size) + size * step) % len(rows)]

    layer = WindowDensity(2, MapFlow(2, steps=4, hidden=16), side=16)
    rows = noisy(maps(64, striped=True))
    layer.prepare(rows)
    descend(layer.parameters(), lambda step: layer.loss(batch(rows, step, 4), 0.05), 30, 1e-2)
    vectors = VectorDensity(2, 2, couplings=6, hidden=32)
    cells = rows.permute(0, 2, 3, 1).flatten(0, 2)
    vectors.prepare(cells)
    few = [batch(cells, step, 512) for step in range(25)]
    descend(vectors.parameters(), lambda step: vectors.loss(few[step], 0.05), 25, 5e-3)
    with torch.no_grad():
        usual, strange = noisy(maps(8, striped=True)), noisy(maps(8, striped=False))
        assert layer.cost(strange).mean() > layer.cost(usual).mean() + 1
        assert abs(vectors.cost(strange).mean() - vectors.cost(usual).mean()) < 0.2


def test_a_window_lies_about_its_cell_and_inside_the_map():
    layer = WindowDensity(2, MapFlow(2, steps=2, hidden=4), side=4)
    feature = torch.arange(60.0).view(1, 6, 10).repeat(2, 1, 1)
    rows = layer.take(feature, torch.tensor([[3, 5], [0, 0], [5, 9]]))
    assert rows.shape == (3, 2, 4, 4)
    assert rows[:, 0, 0, 0].tolist() == [13, 0, 26]
    assert rows[0, 0, 2, 2] == feature[0, 3, 5]
    assert layer.take(feature[:, :2], torch.tensor([[1, 1]])).shape == (1, 2, 2, 4)
    assert layer.take(feature, torch.zeros(0, 2, dtype=torch.long)).shape == (0, 2, 4, 4)


@pytest.mark.slow
def test_windows_serve_the_detector():
    segmenter = TwoLayers()
    options = {"features": ["colour", "product"], "couplings": 2, "per_frame": 160}
    detector = trained(segmenter, steps=50, window=4, **options)
    batch = toy.planted(toy.inliers(2, 9), 0.3)
    with torch.no_grad():
        score = detector.score(segmenter(batch.image, detector.needs), batch.image)
    assert score[batch.negative].mean() > score[batch.known].mean() + 0.5


def test_without_labelled_pixels_it_says_so():
    void = toy.inliers(4, 0)
    void.label.fill_(IGNORE)
    model = Model(toy.ToySegmenter(), EmbeddingDensity())
    with pytest.raises(DataError, match="0 labelled vectors are too few"):
        toy.walk(model, toy.Frames(void), held_out=False)
    with pytest.raises(DataError, match=r"show 0 labelled vectors.*`held_out`"):
        toy.walk(model, toy.Frames(void), held_out=True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"aggregate": "minimum"}, "did you mean `min`"),
        ({"dimensions": 1}, r"2\.\.64"),
        ({"per_frame": 0}, "at least 1"),
        ({"smooth": 2}, "`smooth` must be an odd number"),
    ],
)
def test_faults(options, words):
    with pytest.raises(OptionError, match=words):
        DETECTORS.get("embedding_density")(**options)
