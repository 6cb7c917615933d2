"""Detectors that rebuild the image: their differences, bounds, masks and losses."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import convolve
from torch.distributions import Independent, Normal, kl_divergence

from roadanomaly.detectors import DETECTORS
from roadanomaly.detectors.reconstruction.mae import Block, mixed_order
from roadanomaly.detectors.reconstruction.networks import UNet
from roadanomaly.detectors.reconstruction.riad import set_numbers
from roadanomaly.detectors.reconstruction.similarity import (
    CONTRAST,
    dissimilarity,
    gradient_difference,
    squared_error,
)
from roadanomaly.detectors.reconstruction.vae import divergences
from roadanomaly.detectors.ssim import ssim
from roadanomaly.errors import OptionError
from roadanomaly.types import IGNORE, NEGATIVE, Batch, Segmentation
from tests.contracts import toy
from tests.contracts.built import SMALL


def built(name, **options):
    torch.manual_seed(0)
    return DETECTORS.build(name, {**SMALL[name], **options})


def images(count=2, height=16, width=24, seed=0):
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(seed))


def unlabelled(image):
    label = torch.zeros(len(image), *image.shape[-2:], dtype=torch.uint8)
    return Batch(image, label, tuple(map(str, range(len(image)))))


def lost(detector, batch):
    torch.manual_seed(0)
    return detector.loss(Segmentation.unasked(batch.image), batch)


def test_gradient_similarity_of_one_scale_is_the_definition():
    one, other = images(1)[0].numpy(), images(1, seed=1)[0].numpy()
    kernel = np.array([[1, 0, -1]] * 3) / 3

    def magnitude(image):
        grey = image.mean(0)
        parts = [convolve(grey, k, mode="nearest") for k in (kernel, kernel.T)]
        return np.hypot(*parts)

    g, h = magnitude(one), magnitude(other)
    expected = 1 - (2 * g * h + CONTRAST) / (g**2 + h**2 + CONTRAST)
    found = gradient_difference(*(torch.from_numpy(x)[None] for x in (one, other)), scales=1)
    np.testing.assert_allclose(found[0].numpy(), expected, atol=1e-5)


def test_over_scales_it_is_the_mean_and_0_of_equal_images():
    one, other = images(), images(seed=1)
    assert gradient_difference(one, one).abs().max() < 1e-5
    halves = [torch.nn.functional.avg_pool2d(x, 2) for x in (one, other)]
    coarse = gradient_difference(*halves, scales=1)[:, None]
    coarse = torch.nn.functional.interpolate(coarse, (16, 24), mode="bilinear")[:, 0]
    expected = (gradient_difference(one, other, 1) + coarse) / 2
    torch.testing.assert_close(gradient_difference(one, other, 2), expected)


def test_gradient_differences_of_flat_images_are_0_to_1_and_have_a_slope():
    flat, steep = torch.full((1, 3, 16, 24), 0.37), torch.zeros(1, 3, 16, 24)
    steep[..., ::4] = steep[..., 1::4] = 1
    found = [gradient_difference(one, one) for one in (flat, steep, images(1), flat + 0.2)]
    assert all((one == 0).all() for one in found)
    assert gradient_difference(flat, steep, 1).max() <= 1
    learned = flat.clone().requires_grad_()
    for other in (flat, flat + 0.2, steep, images(1)):
        (slope,) = torch.autograd.grad(gradient_difference(other, learned).sum(), learned)
        assert slope.isfinite().all()


def test_a_u_net_takes_sides_that_its_halvings_divide():
    network = UNet(3, 2, (4, 4, 4)).eval()
    assert network(torch.zeros(1, 3, 4, 12)).shape == (1, 2, 4, 12)
    with pytest.raises(RuntimeError):
        network(torch.zeros(1, 3, 6, 12))


def test_an_autoencoder_scores_its_weighted_differences():
    detector = built("autoencoder", l2=2.0, ssim=0.5, smooth=1).eval()
    detector.ready = True
    image = images()
    found, score = detector.judge(image)
    squared = (image - found).square().mean(1)
    structure = (1 - ssim(image, found).mean(1)) / 2
    torch.testing.assert_close(score, 2 * squared + 0.5 * structure)
    torch.testing.assert_close(squared_error(image, found), squared)
    torch.testing.assert_close(dissimilarity(image, found), structure)
    explained = detector.explain(Segmentation.unasked(image), image)
    torch.testing.assert_close(explained["reconstruction"], found)


def test_sparse_and_denoising_are_options():
    image = images()
    plain, sparse = built("autoencoder"), built("autoencoder", sparse=0.5)
    terms = lost(sparse, unlabelled(image))
    assert set(terms) - set(lost(plain, unlabelled(image))) == {"sparse"}
    code = sparse.encode(image)
    torch.testing.assert_close(terms["sparse"], 0.5 * code.abs().mean())
    noisy = built("autoencoder", denoise=0.3)
    first, second = lost(noisy, unlabelled(image)), lost(plain, unlabelled(image))
    assert first["l2"] != second["l2"]
    noisy.eval()
    noisy.ready = True
    assert torch.equal(noisy.judge(image)[1], noisy.judge(image)[1])


@pytest.fixture(scope="module")
def vae():
    detector = built("vae", smooth=1, bottleneck=3).eval()
    with torch.no_grad():
        detector.log_deviation.copy_(torch.tensor([-1.0, -1.5, -2.0]))
    return detector.requires_grad_(False)


def test_the_divergence_is_pytorchs(vae):
    mean, log_variance = vae.encode(images())
    deviation = (0.5 * log_variance).exp()
    expected = kl_divergence(Normal(mean, deviation), Normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(divergences(mean, log_variance), expected)


def test_the_score_sums_to_the_negative_bound_at_the_codes_mean(vae):
    image = images()
    mean, log_variance = vae.encode(image)
    deviations = vae.log_deviation.exp()[:, None, None].expand(3, 16, 24)
    density = Independent(Normal(vae.decode(mean), deviations), 3).log_prob(image)
    bound = density - divergences(mean, log_variance).flatten(1).sum(1)
    bits = -bound / math.log(2) / image[0].numel() + 8
    found = vae.judge(image)[1].mean((1, 2))
    torch.testing.assert_close(found, bits, rtol=2e-3, atol=2e-3)


def sampled_bound(vae, image, count):
    """Estimate the evidence lower bound: the mean of `ln p(x, z) - ln q(z | x)`, `(B,)` nats."""
    mean, log_variance = vae.encode(image)
    posterior = Normal(mean, (0.5 * log_variance).exp())
    deviations = vae.log_deviation.exp()[:, None, None]
    total = 0
    for _ in range(count):
        code = posterior.sample()
        known = Normal(vae.decode(code), deviations).log_prob(image).flatten(1).sum(1)
        prior = Normal(0.0, 1.0).log_prob(code) - posterior.log_prob(code)
        total = total + known + prior.flatten(1).sum(1)
    return total / count


def test_the_loss_estimates_the_bound(vae):
    """A sample's terms, in bits, and the divergence in closed form."""
    image = images()
    terms = lost(vae, unlabelled(image))
    mean, log_variance = vae.encode(image)
    expected = divergences(mean, log_variance).sum() / image.numel() / math.log(2)
    torch.testing.assert_close(terms["divergence"], expected)
    torch.manual_seed(1)
    sampled = -sampled_bound(vae, image, 300).mean() / image[0].numel() / math.log(2) + 8
    assert sum(terms.values()).item() == pytest.approx(sampled.item(), rel=0.02)


@pytest.mark.parametrize("side", [2, 8])
def test_cells_fall_into_disjoint_sets_of_about_equal_size(side):
    number = set_numbers(torch.zeros(1, 3, 96, 128), side, 3, 5)
    shares = np.bincount(number.flatten().numpy(), minlength=3) / number.numel()
    assert len(shares) == 3
    assert (abs(shares - 1 / 3) < 0.12).all()
    cells = number.view(96 // side, side, 128 // side, side)
    assert (cells == cells[:, :1, :, :1]).all()
    assert (set_numbers(torch.zeros(1, 3, 96, 128), side, 3, 6) != number).any()


def test_riad_never_sees_what_it_paints():
    """Changing the pixels of a set changes no pixel that is painted of it."""
    detector = built("riad").eval()
    image = images()
    number = set_numbers(image, 4, 3, 0)
    with torch.no_grad():
        before = detector.paint(image, 4, 0)
        for one in range(3):
            changed = torch.where(number == one, 1 - image, image)
            after = detector.paint(changed, 4, 0)
            assert torch.equal(after[..., number == one], before[..., number == one])
            assert not torch.equal(after, before)


def test_draem_repairs_to_the_image_before_and_focuses():
    batch = toy.planted(toy.inliers(2, 0), 0.2)
    detector = built("draem", focus=2.0).eval()
    terms = lost(detector, batch)
    image, label = detector.grown(batch, batch.image)
    before, _ = detector.grown(batch, batch.original)
    repair, odds = detector.judge(image)
    counted = label != IGNORE
    p = torch.where(label == NEGATIVE, odds.sigmoid(), 1 - odds.sigmoid())
    focal = (-((1 - p) ** 2) * p.log())[counted].mean()
    torch.testing.assert_close(terms["focal"], focal, rtol=1e-3, atol=1e-5)
    squared = (before - repair).square().mean(1)[counted].mean()
    torch.testing.assert_close(terms["l2"], squared)
    assert not torch.equal(before, image)
    assert detector.learned_from == "negatives"


def test_reverse_distillation_sums_one_minus_the_cosines():
    detector = built("reverse_distillation", sigma=0.0)
    segmenter = toy.ToySegmenter()
    detector.attach(segmenter)
    detector.ready = True
    image = toy.inliers(2, 0).image
    seen = segmenter(image, detector.needs)
    teacher = seen.features["colour"]
    student = detector.answers[0](detector.levels[0](detector.code(teacher)))
    norms = teacher.norm(dim=1) * student.norm(dim=1)
    expected = seen.to_image(1 - (teacher * student).sum(1) / norms)
    torch.testing.assert_close(detector.score(seen, image), expected)


def gradients(term, parameters):
    return torch.autograd.grad(term, parameters, retain_graph=True, allow_unused=True)


def test_ganomaly_scores_the_distance_of_the_codes_and_both_sides_learn_apart():
    detector = built("ganomaly")
    image = images()
    terms = lost(detector, unlabelled(image))
    critic = list(detector.discriminator.parameters())
    others = [one for key, one in detector.named_parameters() if "discriminator" not in key]
    assert all(one is None for one in gradients(terms["discriminator"], others))
    assert all(one is None for one in gradients(terms["adversarial"], critic))
    assert any(one is not None and one.any() for one in gradients(terms["adversarial"], others))
    assert any(one is not None and one.any() for one in gradients(terms["discriminator"], critic))
    assert detector.learners()["discriminator"].parameters == critic
    detector.eval()
    found, score = detector.judge(image)
    codes = [one(x) for one, x in ((detector.first, image), (detector.second, found))]
    distance = (codes[0] - codes[1]).square().mean(1, keepdim=True).sqrt()
    expected = torch.nn.functional.interpolate(distance, (16, 24), mode="bilinear")[:, 0]
    torch.testing.assert_close(score, expected)


def test_mae_paints_hidden_patches_from_the_seen_ones_alone():
    detector = built("mae").eval()
    image = images(1)
    found, known = detector.painted(image, seed=3, part=1)
    changed = torch.where(known == 1, image, 1 - image)
    torch.testing.assert_close(detector.painted(changed, seed=3, part=1)[0], found)
    assert not torch.allclose(detector.painted(1 - image, seed=3, part=1)[0], found)
    both = sum(detector.painted(image, seed=3, part=part)[1] for part in range(2))
    assert (both == 1).all()


def test_mae_averages_what_each_patch_was_painted_as():
    detector = built("mae", parts=3).eval()
    image = images(1)
    painted = [detector.painted(image, 0, part) for part in range(3)]
    hidden = torch.stack([(1 - known) * found for found, known in painted]).sum(0) / 2
    torch.testing.assert_close(detector.judge(image)[0], hidden)


def test_attention_falls_with_the_squared_distance_of_patches():
    torch.manual_seed(0)
    block = Block(8, 2)
    torch.nn.init.normal_(block.slopes, std=0.1)
    tokens = torch.randn(1, 6, 8)
    places = torch.tensor([[row, column] for row in range(2) for column in range(3)]).float()
    query, key, value = block.mix(block.before(tokens)).chunk(3, 2)
    mixed = []
    for head in range(2):
        part = slice(4 * head, 4 * head + 4)
        alike = query[0, :, part] @ key[0, :, part].T / 2
        slopes = torch.nn.functional.softplus(10 * block.slopes[head, 0])
        far = (places[:, None] - places[None]).square() @ slopes
        mixed.append((alike - far).softmax(1) @ value[0, :, part])
    joined = tokens + block.join(torch.cat(mixed, 1))
    torch.testing.assert_close(block(tokens, places), joined + block.think(block.between(joined)))


@pytest.mark.parametrize("count", [1, 35, 320, 20_000])
def test_a_mixed_order_holds_every_number_once(count):
    orders = [mixed_order(count, seed, torch.device("cpu")) for seed in (0, 7)]
    for order in orders:
        assert torch.equal(order.sort().values, torch.arange(count))
    assert count == 1 or not torch.equal(*orders)


@pytest.mark.parametrize("name", ["autoencoder", "mae", "vae", "riad"])
def test_what_no_inlier_shows_is_no_loss(name):
    """Content of negatives and void changes nothing but what the networks see around it."""
    batch = unlabelled(images())
    batch.label[:] = IGNORE
    terms = lost(built(name), batch)
    assert all(term.item() == 0 for key, term in terms.items() if key != "sparse")


@pytest.mark.parametrize(
    ("name", "options", "match"),
    [
        ("autoencoder", {"l2": 0.0, "ssim": 0.0}, "above 0"),
        ("autoencoder", {"widths": []}, "widths"),
        ("vae", {"beta": 0.0}, "beta"),
        ("riad", {"sets": 1}, "sets"),
        ("ganomaly", {"context": -1.0}, "weight"),
        ("ganomaly", {"discriminator_lr": 0.0}, "discriminator_lr"),
        ("mae", {"parts": 1}, "parts"),
        ("mae", {"width": 30}, "multiple"),
        ("vae", {"deviation": 0.002}, "`deviation` 0 or from 0.0068 to 1"),
        ("vae", {"deviation": 5.0}, "deviation"),
        ("draem", {"focus": -1.0}, "focus"),
        ("draem", {"focus": 0.5}, "`focus` 0 or at least 1"),
        ("reverse_distillation", {"width": 0}, "width"),
        ("reverse_distillation", {"sigma": -1.0}, "sigma"),
    ],
)
def test_values_that_cannot_work_are_refused(name, options, match):
    with pytest.raises(OptionError, match=match):
        DETECTORS.build(name, options)
