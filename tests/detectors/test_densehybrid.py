"""DenseHybrid's loss and score against the paper's formulas in NumPy, and the known traps of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, logsumexp

from roadanomaly.detectors.hybrid.densehybrid import DenseHybrid
from roadanomaly.errors import OptionError
from roadanomaly.segmenters.base import FeatureInfo, Segmenter
from roadanomaly.segmenters.closed_set import closed_set_cross_entropy
from roadanomaly.types import IGNORE, INLIER, NEGATIVE, Batch, Segmentation

CLASSES, ROWS, COLUMNS = 4, 5, 6
FEATURES = {"fine": FeatureInfo(3, 1), "coarse": FeatureInfo(2, 8)}


class Features(Segmenter):
    """Says only what it offers; the tests make the features themselves."""

    default_feature = "fine"

    def __init__(self):
        super().__init__(tuple("abcd"))
        self.features = FEATURES

    def maps(self, image, features):
        pytest.fail("these tests hand segmentations to the detector themselves")

    def options(self):
        return {}


def detector(**options):
    made = DenseHybrid(**options)
    made.attach(Features())
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter)
        if parameter.dim() == 1:
            parameter.data.abs_()  # keeps the rectifiers open
    return made.eval()


def segmentation(count=2, seed=0, spread=3.0):
    rng = torch.Generator().manual_seed(seed)
    logits = spread * torch.randn(count, CLASSES, ROWS, COLUMNS, generator=rng)
    fine = torch.randn(count, 3, ROWS, COLUMNS, generator=rng)
    coarse = torch.randn(count, 2, 2, 3, generator=rng)
    size = (ROWS, COLUMNS)
    return Segmentation(logits, size, size, features={"fine": fine, "coarse": coarse})


def labelled(label=None, count=2):
    if label is None:
        label = np.random.default_rng(1).integers(0, CLASSES, (count, ROWS, COLUMNS))
        label[:, 0, :2], label[:, 1, :4], label[0, 2, 0] = NEGATIVE, IGNORE, NEGATIVE
    label = torch.from_numpy(np.asarray(label).astype(np.uint8))
    return Batch(torch.zeros(len(label), 3, ROWS, COLUMNS), label, tuple("x" * len(label)))


def log_posterior(made, fine):
    """BatchNorm with its running statistics, ReLU, 1x1 convolution, log-softmax, in NumPy."""
    norm, _, project = made.heads["fine"]
    shape = (1, -1, 1, 1)
    mean, variance, gain, shift = (
        value.detach().numpy().reshape(shape)
        for value in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    )
    hidden = np.maximum((fine - mean) / np.sqrt(variance + norm.eps) * gain + shift, 0)
    weight = project.weight.detach().numpy()[:, :, 0, 0]
    out = np.einsum("oc,bchw->bohw", weight, hidden) + project.bias.detach().numpy().reshape(shape)
    return log_softmax(out, 1)


def all_terms(made, found, batch):
    """What a training step minimises: the segmenter's own loss beside the detector's."""
    return {
        "cross_entropy": closed_set_cross_entropy(found, batch.label),
        **made.loss(found, batch),
    }


@pytest.mark.parametrize("beta", [0.03, 0.5])
def test_loss_terms_are_the_paper_s(beta):
    made, found, batch = detector(beta=beta), segmentation(), labelled()
    logits, label = found.logits.numpy().astype(np.float64), batch.label.numpy()
    known, negative = label < NEGATIVE, label == NEGATIVE
    log_p = log_softmax(logits, 1)
    picked = np.take_along_axis(log_p, np.where(known, label, 0)[:, None], 1)[:, 0]
    posterior = log_posterior(made, found.features["fine"].numpy())
    right = np.where(negative, posterior[:, 1], posterior[:, 0])
    terms = {key: value.item() for key, value in all_terms(made, found, batch).items()}
    assert terms == pytest.approx(
        {
            "cross_entropy": -picked[known].mean(),
            "density": beta * logsumexp(logits, 1)[negative].mean(),
            "posterior": -10 * beta * right[label != IGNORE].mean(),
        },
        rel=1e-5,
    )


def test_margins_hold_both_sides_of_the_energy():
    found, batch = segmentation(), labelled()
    batch.label[1, 3, :3] = INLIER
    energy = -logsumexp(found.logits.numpy().astype(np.float64), 1)
    label = batch.label.numpy()
    inlier, negative = (label < NEGATIVE) | (label == INLIER), label == NEGATIVE
    terms = detector(margins=[-5, -2], hinge=0.6).loss(found, batch)
    assert set(terms) == {"energy_inliers", "energy_negatives", "posterior"}
    above, below = np.maximum(energy + 5, 0) ** 2, np.maximum(-2 - energy, 0) ** 2
    assert terms["energy_inliers"].item() == pytest.approx(0.3 * above[inlier].mean(), rel=1e-5)
    assert terms["energy_negatives"].item() == pytest.approx(0.3 * below[negative].mean(), rel=1e-5)
    assert above[inlier].max() > 0 < below[negative].max()


@torch.inference_mode()
def test_score_is_the_sum_of_its_halves():
    found = segmentation()
    image = torch.zeros(2, 3, ROWS, COLUMNS)
    made = {by: detector(score_by=by) for by in ("hybrid", "density", "posterior")}
    for one in made.values():
        one.load_state_dict(made["hybrid"].state_dict())
        one.ready = True
    score = {by: one.score(found, image).numpy() for by, one in made.items()}
    density = -logsumexp(found.logits.numpy(), 1)
    posterior = log_posterior(made["hybrid"], found.features["fine"].numpy())[:, 1]
    np.testing.assert_allclose(score["density"], density, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(score["posterior"], posterior, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(score["hybrid"], density + posterior, rtol=1e-4, atol=1e-5)


@torch.inference_mode()
def test_the_posterior_may_weigh_more_and_be_odds():
    found = segmentation()
    image = torch.zeros(2, 3, ROWS, COLUMNS)
    made = detector(weight=4, odds=True)
    made.ready = True
    inside, outside = np.moveaxis(log_posterior(made, found.features["fine"].numpy()), 1, 0)
    wanted = -logsumexp(found.logits.numpy(), 1) + 4 * (outside - inside)
    np.testing.assert_allclose(made.score(found, image), wanted, rtol=1e-4, atol=1e-4)
    made.score_by = "posterior"
    np.testing.assert_allclose(made.score(found, image), outside - inside, rtol=1e-4, atol=1e-4)


def gradients(term, batch, *, seed=0):
    """Gradients of one loss term with respect to logits and features."""
    found = segmentation(seed=seed)
    found.logits.requires_grad_()
    found.features["fine"].requires_grad_()
    made = detector()
    all_terms(made, found, batch)[term].backward()
    grads = found.logits.grad, found.features["fine"].grad
    return [torch.zeros(1) if grad is None else grad.abs().amax(1) for grad in grads]


def test_void_trains_nothing():
    """The public code trains void as inlier in its dataset posterior; here it has no gradient."""
    batch = labelled()
    void = batch.label == IGNORE
    for term in ("cross_entropy", "density"):
        assert (gradients(term, batch)[0][void] == 0).all()
    of_features = gradients("posterior", batch)[1]
    assert (of_features[void] == 0).all()
    assert (of_features[~void] > 0).float().mean() > 0.5


def test_each_term_reaches_only_its_pixels():
    batch = labelled()
    known, negative = batch.known, batch.negative
    cross_entropy, density = gradients("cross_entropy", batch)[0], gradients("density", batch)[0]
    assert (cross_entropy[known] > 0).all()
    assert (cross_entropy[~known] == 0).all()
    assert (density[negative] > 0).all()
    assert (density[~negative] == 0).all()
    assert (gradients("posterior", batch)[0] == 0).all()


@pytest.mark.parametrize("value", [0, NEGATIVE, IGNORE])
def test_a_batch_of_one_meaning_has_a_finite_loss(value):
    """The public code divides by the number of negatives, which may be zero."""
    batch = labelled(np.full((2, ROWS, COLUMNS), value))
    made, found = detector(), segmentation()
    found.logits.requires_grad_()
    terms = all_terms(made, found, batch)
    sum(terms.values()).backward()
    assert all(torch.isfinite(term) for term in terms.values())
    assert torch.isfinite(found.logits.grad).all()
    assert (terms["cross_entropy"] > 0) == (value == 0)
    assert (terms["density"] != 0) == (value == NEGATIVE)
    assert (terms["posterior"] > 0) == (value != IGNORE)


def test_gradients_are_those_of_finite_differences():
    """Along random directions; float32 inside, hence the wide step."""
    batch, made = labelled(), detector(beta=0.3)
    found = segmentation(spread=1.0)

    def total(logits, fine):
        moved = replace(found, logits=logits, features={"fine": fine})
        return sum(all_terms(made, moved, batch).values())

    at = [found.logits.double().requires_grad_(), found.features["fine"].clone().requires_grad_()]
    grads = torch.autograd.grad(total(*at), at)
    for seed in range(5):
        torch.manual_seed(seed)
        step = [1e-2 * torch.randn_like(value) for value in at]
        with torch.no_grad():
            ahead = total(*(value + move for value, move in zip(at, step, strict=True)))
            behind = total(*(value - move for value, move in zip(at, step, strict=True)))
        expected = sum((grad * move).sum() for grad, move in zip(grads, step, strict=True))
        assert (ahead - behind).item() / 2 == pytest.approx(expected.item(), rel=2e-2, abs=2e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_left_before_anything_unbounded(dtype):
    """ln sum exp of logits of 200 overflows half precision where it is not taken in float32."""
    made, found, batch = detector(), segmentation(spread=200), labelled()
    made.ready = True
    halves = replace(found, logits=found.logits.to(dtype))
    image = torch.zeros(2, 3, ROWS, COLUMNS)
    assert made.score(halves, image).dtype == torch.float32
    exact = replace(found, logits=halves.logits.float())
    torch.testing.assert_close(made.score(halves, image), made.score(exact, image))
    for term, value in made.loss(halves, batch).items():
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, made.loss(exact, batch)[term])


def test_maps_of_several_strides_equal_one_convolution_of_them_stacked():
    """Growth is linear, so projecting each map and adding equals projecting the stack."""
    made, found = detector(features=["fine", "coarse"]), segmentation()
    grown = torch.nn.functional.interpolate(
        torch.relu(made.heads["coarse"][0](found.features["coarse"])), (ROWS, COLUMNS),
        mode="bilinear",
    )  # fmt: skip
    fine = torch.relu(made.heads["fine"][0](found.features["fine"]))
    weight = torch.cat([made.heads[name][2].weight for name in ("fine", "coarse")], 1)
    bias = made.heads["fine"][2].bias + made.heads["coarse"][2].bias
    stacked = torch.nn.functional.conv2d(torch.cat([fine, grown], 1), weight, bias)
    torch.testing.assert_close(made.log_posterior(found), stacked.log_softmax(1))


def test_a_hidden_layer_is_for_coarse_maps_only():
    made = detector(features=["fine", "coarse"], hidden=7)
    assert [type(layer).__name__ for layer in made.heads["fine"]] == [
        "BatchNorm2d",
        "ReLU",
        "Conv2d",
    ]
    assert made.heads["coarse"][0].weight.shape == (7, 2, 3, 3)
    assert made.log_posterior(segmentation()).shape == (2, 2, ROWS, COLUMNS)


def test_padding_trains_nothing():
    """Logits cover 8 x 8 of a 5 x 6 image: what lies beyond carries no label."""
    found = replace(segmentation(), padded=(8, 8))
    wide = torch.randn(2, CLASSES, 8, 8, requires_grad=True)
    found = replace(found, logits=wide, features={"fine": torch.randn(2, 3, 8, 8)})
    sum(detector().loss(found, labelled()).values()).backward()
    assert (wide.grad[:, :, ROWS:] == 0).all()
    assert (wide.grad[:, :, :, COLUMNS:] == 0).all()
    assert (wide.grad[:, :, :ROWS, :COLUMNS] != 0).any()


def test_an_unknown_score_names_the_nearest():
    with pytest.raises(OptionError, match="did you mean `density`"):
        DenseHybrid(score_by="densty")


def test_a_weight_that_turns_the_score_around_is_refused():
    with pytest.raises(OptionError, match="`weight` must be positive, not -1"):
        DenseHybrid(weight=-1)


@pytest.mark.parametrize("options", [{"margins": [-4, -6]}, {"margins": [-4]}, {"hinge": 0}])
def test_a_hinge_that_cannot_work_is_refused(options):
    with pytest.raises(OptionError, match=next(iter(options))):
        DenseHybrid(**options)
