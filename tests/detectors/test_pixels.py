"""Densities of pixels: what they say of squares, against definitions and other computations."""

from __future__ import annotations

import itertools
import warnings

import numpy as np
import pytest
import torch

from roadanomaly.detectors import DETECTORS
from roadanomaly.detectors.pixels.cells import CACHED_PIXELS, Cells, in_pieces
from roadanomaly.detectors.pixels.coder import coder_bits
from roadanomaly.detectors.pixels.discretised import level_log_prob
from roadanomaly.errors import OptionError
from roadanomaly.types import IGNORE, NEGATIVE, Batch, Segmentation

GLOW = {"name": "glow", "levels": 2, "steps": 1, "hidden": 4}


def built(name, **options):
    torch.manual_seed(0)
    found = DETECTORS.build(name, options).eval()
    found.ready = True
    with torch.no_grad():
        for parameter in found.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return found


def images(*shape, seed=0):
    levels = torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(seed))
    return levels / 255


@pytest.mark.parametrize(("side", "overlap"), [(4, 1), (4, 2), (6, 3)])
def test_each_pixel_takes_the_mean_of_the_squares_it_lies_in(side, overlap):
    image = images(2, 3, 2 * side, 3 * side)
    found = Cells(side, overlap).judged(image, lambda cells: cells.square().mean((1, 2, 3)))
    total, times = np.zeros((2, 2 * side, 3 * side)), np.zeros((2 * side, 3 * side))
    for top in range(0, side + 1, side // overlap):
        for left in range(0, 2 * side + 1, side // overlap):
            place = np.s_[top : top + side, left : left + side]
            mean = image[:, :, *place].square().mean((1, 2, 3)).numpy()
            total[:, *place] += mean[:, None, None]
            times[place] += 1
    np.testing.assert_allclose(found.numpy(), total / times, rtol=1e-5)


def test_a_cpu_judges_a_few_squares_at_a_time_and_a_traced_graph_all():
    side = 128
    squares = images(11, 1, side, side)
    counts = []

    def means(few):
        counts.append(len(few))
        return few.mean((1, 2, 3))

    np.testing.assert_allclose(in_pieces(means, squares), squares.mean((1, 2, 3)), rtol=1e-5)
    assert len(counts) > 1
    assert max(counts) * side**2 <= CACHED_PIXELS
    counts.clear()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        torch.jit.trace(lambda every: in_pieces(means, every), squares, check_trace=False)
    assert counts == [11]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("ddpm", {"widths": [4], "steps": 9, "terms": 2, "cell": 64}),
        ("pixelcnn", {"width": 4, "blocks": 1, "mixture": 2, "cell": 64}),
    ],
)
def test_a_large_image_scores_as_its_squares_one_by_one(name, options):
    detector = built(name, **options)
    image = images(1, 3, 256, 320)
    with torch.no_grad():
        score = detector.over_image(image, detector.judge)
        one_by_one = [detector.bits(one[None]) for one in detector.cells.cut(image)]
    expected = torch.stack(one_by_one).view(4, 5).repeat_interleave(64, 0).repeat_interleave(64, 1)
    np.testing.assert_allclose(score[0], expected, rtol=1e-5)


def test_squares_show_inliers_or_negatives_or_neither():
    label = torch.zeros(1, 8, 12, dtype=torch.uint8)
    label[0, :4, :4], label[0, :4, 4], label[0, 4:, 8:] = NEGATIVE, NEGATIVE, IGNORE
    inlier, strange = Cells(4, 1).shown(label)
    assert inlier.tolist() == [False, False, True, True, True, False]
    assert strange.tolist() == [True, False, False, False, False, False]


def test_small_crops_are_grown_and_larger_ones_cut():
    cells = Cells(8, 1)
    for height, width in ((5, 20), (16, 9), (3, 3)):
        image, label = cells.whole(
            images(1, 3, height, width), torch.zeros(1, height, width, dtype=torch.uint8)
        )
        assert image.shape[-2:] == label.shape[-2:]
        assert all(side % 8 == 0 and side for side in label.shape[-2:])
        assert (label == 0).sum() <= height * width


def test_one_colour_takes_no_bits_of_the_coder_and_noise_about_eight():
    flat = torch.full((1, 3, 32, 32), 0.5)
    assert abs(coder_bits(flat).item()) < 0.1
    assert 7.5 < coder_bits(images(1, 3, 32, 32)).item() < 8.3


@pytest.mark.parametrize("levels", [2, 5, 256])
def test_the_probabilities_of_all_levels_sum_to_one(levels):
    x = torch.linspace(-1, 1, levels, dtype=torch.float64)[:, None]
    mean = torch.tensor([-1.5, -0.2, 0.7], dtype=torch.float64)
    for log_scale in (-6.0, -2.0, 1.0):
        found = level_log_prob(x, mean, torch.tensor(log_scale, dtype=torch.float64), levels)
        torch.testing.assert_close(found.exp().sum(0), torch.ones(3, dtype=torch.float64))


def test_the_probabilities_of_all_small_images_sum_to_one():
    """All 4096 images of 2x2 pixels with two levels: a distribution, so nothing sees itself."""
    detector = built("pixelcnn", width=6, blocks=2, mixture=2, levels=2, cell=2).double()
    values = itertools.product((-1.0, 1.0), repeat=12)
    every = torch.tensor(list(values), dtype=torch.float64).view(-1, 3, 2, 2)
    log_p = detector.log_prob(every).flatten(1).sum(1)
    torch.testing.assert_close(log_p.exp().sum().item(), 1.0, rtol=1e-9, atol=0)
    assert log_p.std() > 0.1
    bits = detector.bits((every + 1) / 2)
    torch.testing.assert_close(bits * 12, -log_p / np.log(2))


def test_pixelcnn_draws_what_it_gives_probability_to():
    detector = built("pixelcnn", width=4, blocks=1, mixture=2, levels=2, cell=2).double()
    torch.manual_seed(0)
    drawn = 2 * detector.draw(2000, 2) - 1
    every = torch.tensor(list(itertools.product((-1.0, 1.0), repeat=12))).double()
    p = detector.log_prob(every.view(-1, 3, 2, 2)).flatten(1).sum(1).exp()
    expected = (p[:, None] * every).sum(0)
    assert (drawn.flatten(1).mean(0) - expected).abs().max() < 5 / np.sqrt(2000)


def test_a_likelihood_is_the_bits_of_its_flow_at_the_middle_of_levels():
    detector = built("likelihood", flow=GLOW, cell=8, overlap=1)
    squares = images(3, 3, 8, 8)
    log_p = detector.flow.log_prob((255 * squares + 0.5) / 256)
    torch.testing.assert_close(detector.bits(squares), 8 - log_p / (192 * np.log(2)))
    detector.last_scale = True
    last = detector.flow.level_log_probs((255 * squares + 0.5) / 256)[:, -1]
    torch.testing.assert_close(detector.bits(squares), 8 - last / (96 * np.log(2)))


def test_a_ratio_is_the_difference_and_the_general_flow_stays():
    detector = built("likelihood", flow=GLOW, general=GLOW, cell=8)
    alone = built("likelihood", flow=GLOW, cell=8)
    squares = images(3, 3, 8, 8)
    alone.flow.load_state_dict(detector.flow.state_dict())
    own = alone.bits(squares)
    alone.flow.load_state_dict(detector.general.state_dict())
    torch.testing.assert_close(detector.bits(squares), own - alone.bits(squares))
    assert not any(one.requires_grad for one in detector.general.parameters())
    detector.train()
    assert not any(one.training for one in detector.general.modules())


def test_the_outlier_loss_raises_the_cost_of_negatives():
    detector = built("likelihood", flow=GLOW, cell=8, outlier=2.0)
    assert detector.supervision == "negatives"
    image, label = images(1, 3, 8, 16), torch.zeros(1, 8, 16, dtype=torch.uint8)
    label[..., 8:] = NEGATIVE
    batch = Batch(image, label, ("a",))
    strange = detector.cells.cut(image)[1:]
    before = detector.bits(strange)
    optimiser = torch.optim.SGD(detector.parameters(), 1e-3)
    detector.loss(Segmentation.unasked(image), batch)["outlier"].backward()
    optimiser.step()
    assert detector.bits(strange) > before


def test_complexity_is_subtracted_and_cannot_be_exported():
    plain, corrected = (
        built("likelihood", flow=GLOW, cell=8, overlap=1, complexity=one) for one in (False, True)
    )
    squares = images(2, 3, 8, 8)
    expected = plain.judge(squares) - coder_bits(squares)
    torch.testing.assert_close(corrected.judge(squares), expected)
    assert corrected.beyond_one_graph == ("coder",)


@pytest.mark.parametrize(
    ("name", "options", "word"),
    [
        ("likelihood", {"cell": 12}, "multiples of 8"),
        ("likelihood", {"cell": 32, "overlap": 3}, "multiple of `overlap`"),
        ("likelihood", {"outlier": -1.0}, "`outlier`"),
        ("pixelcnn", {"levels": 1}, "`levels`"),
    ],
)
def test_values_that_cannot_work_are_refused(name, options, word):
    with pytest.raises(OptionError, match=word):
        DETECTORS.build(name, options)


def test_the_bound_of_all_terms_is_the_sum_of_its_parts():
    detector = built("ddpm", widths=[4, 4], steps=12, terms=11, cell=4)
    squares = images(2, 3, 4, 4)
    x = (255 * squares).round() / 127.5 - 1
    first, *others = detector.noise
    nats = detector.grey_term(x, first.expand_as(x)) + detector.schedule.last_term(x)
    assert (nats > 0).all()
    weights = detector.schedule.bound_weights()
    for step, (weight, noise) in enumerate(zip(weights, others, strict=True), start=2):
        term = weight * detector.error(x, torch.full((2,), step), noise.expand_as(x))
        assert (term > 0).all()
        nats = nats + term
    torch.testing.assert_close(detector.bits(squares), nats / (48 * np.log(2)))
