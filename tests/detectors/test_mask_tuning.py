"""Fine-tuning of mask networks: terms pixel by pixel, what is taught, what moves, and the flow."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

import roadanomaly
from roadanomaly.errors import KindError, OptionError
from roadanomaly.model import Model
from roadanomaly.negatives import NEGATIVES
from roadanomaly.training.step import TrainingStep
from roadanomaly.types import IGNORE, INLIER, NEGATIVE, Masks, Segmentation
from tests.contracts import toy
from tests.contracts.test_detectors import images, labelled
from tests.contracts.tiny import CLASSES, network

ON = "transformers mask2former"
QUERIES, SIZE = 5, 3e-3
TUNED = {"rba": {"moves": "all"}, "mask2anomaly": {"moves": "all"}}


@pytest.fixture
def seen():
    """Return random masks and a batch with every meaning of a label, at the masks' stride."""
    generator = torch.Generator().manual_seed(3)
    batch = labelled(images(16, 24))
    batch.label[:, 12:] = INLIER
    masks = Masks(
        3 * torch.randn(2, QUERIES, len(CLASSES) + 1, generator=generator),
        3 * torch.randn(2, QUERIES, 16, 24, generator=generator),
    )
    evidence = masks.weighted(masks.probabilities).requires_grad_()
    return Segmentation(evidence, (16, 24), (16, 24), kind="evidence", masks=masks), batch


def rba(evidence, inlier, weight=1.0):
    score = -sum(math.tanh(one) for one in evidence)
    off = score + 1.0 if inlier else -0.1 - score
    return weight / 2 * max(off, 0) ** 2


def mask2anomaly(evidence, inlier, weight=1.0):
    lacking = 1 - max(evidence)
    return weight / 2 * (lacking**2 if inlier else max(0.75 - lacking, 0) ** 2)


@pytest.mark.parametrize(
    ("name", "options", "function", "prefix"),
    [
        ("rba", {"weight": 0.4}, lambda e, i: rba(e, i, 0.4), "rba"),
        ("mask2anomaly", {"margin": 0.75}, mask2anomaly, "contrast"),
    ],
)
def test_the_terms_are_means_of_what_a_pixel_costs(seen, name, options, function, prefix):
    segmentation, batch = seen
    detector = roadanomaly.detector(name, moves="all", **options)
    found = detector.loss(segmentation, batch)
    costs = {True: [], False: []}
    for image, row, column in np.ndindex(2, 16, 24):
        value = int(batch.label[image, row, column])
        if value in (NEGATIVE, INLIER) or value < INLIER:
            evidence = segmentation.logits[image, :, row, column].tolist()
            costs[value != NEGATIVE].append(function(evidence, value != NEGATIVE))
    assert set(found) == {f"{prefix}_inliers", f"{prefix}_negatives"}
    assert found[f"{prefix}_inliers"].item() == pytest.approx(np.mean(costs[True]), rel=1e-4)
    assert found[f"{prefix}_negatives"].item() == pytest.approx(np.mean(costs[False]), rel=1e-4)


@pytest.mark.parametrize("name", TUNED)
def test_slopes_pull_inliers_and_negatives_apart(seen, name):
    """Finite differences; of a step along the slope, negatives lose evidence, inliers gain it."""
    segmentation, batch = seen
    detector = roadanomaly.detector(name, **TUNED[name])

    def loss(logits):
        return sum(detector.loss(replace(segmentation, logits=logits), batch).values())

    start = segmentation.logits.detach().double().requires_grad_()
    (slope,) = torch.autograd.grad(loss(start), start)
    way = torch.randn(start.shape, generator=torch.Generator().manual_seed(0)).double()
    difference = (loss(start + 1e-6 * way) - loss(start - 1e-6 * way)) / 2e-6
    assert (slope * way).sum().item() == pytest.approx(difference.item(), rel=1e-4)
    negative = (batch.label == NEGATIVE)[:, None].expand_as(slope)
    ignored = (batch.label == IGNORE)[:, None].expand_as(slope)
    assert (slope[negative] >= 0).all()
    assert (slope[negative] > 0).any()
    assert (slope[ignored] == 0).all()
    assert slope[~negative & ~ignored].sum() < 0


def test_what_the_matching_loss_is_taught(seen):
    """Negatives are "no object" where a detector rejects, a class of their own of `uno`."""
    segmentation, batch = seen
    for name, options, expected in (
        ("rba", {}, NEGATIVE),
        ("rba", {"moves": "heads"}, len(CLASSES)),
        ("rba", {"moves": "heads", "rejects": False}, NEGATIVE),
        ("eam", {"moves": "all"}, len(CLASSES)),
        ("uno", {}, len(CLASSES)),
    ):
        _, label = roadanomaly.detector(name, **options).taught(segmentation, batch)
        negative = batch.label == NEGATIVE
        assert (label[negative] == expected).all()
        assert torch.equal(label[~negative], batch.label[~negative])


def attached(name, on=ON, **options):
    torch.manual_seed(0)
    return Model(network(on), roadanomaly.detector(name, **options))


def step_of(model, source=None):
    settings = {"freeze_batch_norm": True, "supervise": "logits", "distill": 0.0}
    return TrainingStep(model.segmenter, model.detector, source, **settings)


@pytest.mark.parametrize("on", [ON, "transformers eomt"])
def test_the_parts_that_move_lie_in_each_other(on):
    sizes = []
    for moves in ("heads", "decoder", "all"):
        model = attached("rba", on, moves=moves)
        step_of(model)
        sizes.append({k for k, one in model.segmenter.named_parameters() if one.requires_grad})
    assert sizes[0] < sizes[1] < sizes[2]
    backbone = ("pixel_level_module", "network.layers", "embeddings")
    assert not [key for key in sizes[1] if any(part in key for part in backbone)]


def test_unlearned_the_unknown_class_of_uno_is_a_logit_of_zero():
    """Its score is then EAM's, of a softmax with one more class, and it has no evidence apart."""
    model = attached("uno").eval()
    image = images(64, 96)
    with torch.no_grad():
        found = model.detector.look(model.segmenter, image)
        plain = model.segmenter(image)
    own = plain.masks.classes
    zero = torch.zeros_like(own[..., :1])
    expected = torch.cat([own[..., :-1], zero, own[..., -1:]], 2)
    torch.testing.assert_close(found.masks.classes, expected)
    assert found.logits.shape == plain.logits.shape
    assert found.extra.shape == plain.logits[:, :1].shape
    assert found.classes().max() < len(CLASSES)
    model.detector.ready = True
    p = expected.softmax(2)
    weights = p[..., len(CLASSES)] - p[..., : len(CLASSES)].amax(2)
    grown = plain.to_image(plain.masks.masks).sigmoid()
    score = torch.einsum("bq,bqhw->bhw", weights, grown)
    torch.testing.assert_close(model.detector.score(found, image), score, atol=1e-5, rtol=1e-4)
    parts = model.detector.explain(found, image)
    torch.testing.assert_close(sum(parts.values()), score, atol=1e-5, rtol=1e-4)


@pytest.mark.slow
def test_uno_learns_a_class_of_negatives():
    """A few steps on one batch: where the negatives lie the unknown class gains on the rest."""
    model = attached("uno")
    criterion = model.segmenter.network.criterion
    criterion.num_points = criterion.matcher.num_points = 256
    step, batch = step_of(model), labelled(images(64, 96))
    batch.label[:, :32] = NEGATIVE
    batch.image[:, :, :32] = 0.9
    optimiser = torch.optim.Adam(step.parameters(), 3e-3)

    def lead():
        with torch.no_grad():
            found = model.detector.look(model.segmenter, batch.image)
            model.detector.ready = True
            score = model.detector.score(found, batch.image)
        return (score[:, :32].mean() - score[:, 32:].mean()).item()

    before = lead()
    for _ in range(8):
        optimiser.zero_grad()
        sum(step(batch).values()).backward()
        optimiser.step()
    assert lead() > before + 0.02


@pytest.mark.slow
def test_the_gradient_of_uno_reaches_the_flow():
    """Through the sample that is pasted, against a finite difference of the whole step."""
    model = attached("uno", "transformers eomt")
    model.segmenter.network.attn_mask_probs.zero_()  # masked attention jumps where a mask ends
    model.segmenter.network.criterion.importance_sample_ratio = 0.0
    flow = {"name": "glow", "levels": 1, "steps": 1, "hidden": 4}
    options = {"flow": flow, "side": [24, 24], "temperature": 0.05}  # far from the clamp
    torch.manual_seed(0)
    source = NEGATIVES.from_spec({"name": "flow", **options})
    step, batch = step_of(model, source).eval(), labelled(images(64, 96))
    batch.label[batch.label == NEGATIVE] = IGNORE
    closed = ("query_classes", "mask_cross_entropy", "mask_dice")
    learning = [one for one in source.flow.parameters() if one.requires_grad]
    generator = torch.Generator().manual_seed(1)
    way = [torch.randn(one.shape, generator=generator) for one in learning]

    def loss():
        torch.manual_seed(0)
        terms = step(batch, np.random.default_rng(0))
        return sum(terms[name] for name in closed).double()

    slopes = torch.autograd.grad(loss(), learning, allow_unused=True)
    slope = sum((a * b).sum() for a, b in zip(slopes, way, strict=True) if a is not None)
    assert abs(slope.item()) > 1e-3

    def at(place):
        torch.nn.utils.vector_to_parameters(place, learning)
        return loss().item()

    here = torch.nn.utils.parameters_to_vector(learning).detach()
    along = SIZE * torch.nn.utils.parameters_to_vector(way)
    difference = (at(here + along) - at(here - along)) / (2 * SIZE)
    assert slope.item() == pytest.approx(difference, rel=0.1)
    source.detach_source = True
    cut = torch.autograd.grad(loss(), learning, allow_unused=True)
    assert all(one is None for one in cut)


def test_a_score_as_it_is_and_a_tuned_one_are_one_detector():
    plain, tuned = roadanomaly.detector("rba"), roadanomaly.detector("rba", moves="heads")
    assert (plain.kind, plain.supervision, plain.ready) == ("posthoc", "none", True)
    assert (tuned.kind, tuned.supervision, tuned.ready) == ("finetune", "negatives", False)
    with pytest.raises(TypeError, match="no loss"):
        plain.loss(None, None)


def test_faults():
    for name, options, words in (
        ("rba", {"moves": "head"}, "'nothing', 'heads', 'decoder', 'all'"),
        ("rba", {"margins": [0, -1]}, "the lower first"),
        ("rba", {"weight": 0}, "must be positive"),
        ("mask2anomaly", {"margin": 2}, r"`margin` must be in 0\.\.1"),
        ("uno", {"moves": "nothing"}, "has to be learned"),
    ):
        with pytest.raises(OptionError, match=words):
            roadanomaly.detector(name, **options)
    with pytest.raises(KindError, match="take `moves: all`"):
        Model(toy.ToyMasks(), roadanomaly.detector("rba", moves="heads"))
    silent = toy.ToyMasks()
    silent.query_width = 0
    with pytest.raises(KindError, match="does not tell what it names"):
        Model(silent, roadanomaly.detector("uno"))
