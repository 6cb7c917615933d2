import numpy as np
import pytest
import torch

from roadanomaly.negatives import NEGATIVES
from roadanomaly.negatives.blending import blend, cast_shadow, feather, mark, match_colour
from roadanomaly.types import IGNORE, NEGATIVE
from tests.negatives import tiny


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_blend_is_the_convex_combination(rng):
    image = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    patch = rng.uniform(0, 255, (8, 9, 3)).astype(np.float32)
    alpha = rng.uniform(0, 1, (8, 9)).astype(np.float32)
    before = image.copy()
    result = blend(image, patch, alpha, 3, 4)
    weight = alpha[..., None].astype(np.float64)
    exact = weight * patch + (1 - weight) * image[3:11, 4:13]
    assert np.abs(result[3:11, 4:13] - exact).max() <= 0.5 + 1e-3
    outside = np.ones((20, 30), bool)
    outside[3:11, 4:13] = False
    assert (result[outside] == image[outside]).all()
    assert (image == before).all()


@pytest.mark.parametrize(("top", "left"), [(-5, -4), (16, 25), (-5, 25), (-100, 3), (3, 100)])
def test_blend_cuts_off_what_hangs_over(rng, top, left):
    image = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    patch = rng.integers(0, 256, (8, 9, 3)).astype(np.float32)
    large = np.zeros((300, 300, 3), np.uint8)
    large[120:140, 120:150] = image
    large = blend(large, patch, np.ones((8, 9), np.float32), 120 + top, 120 + left)
    small = blend(image, patch, np.ones((8, 9), np.float32), top, left)
    assert (small == large[120:140, 120:150]).all()


def test_where_alpha_is_zero_the_image_stays(rng):
    image = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    alpha = np.zeros((8, 9), np.float32)
    assert (blend(image, np.full((8, 9, 3), 7.0), alpha, 3, 4) == image).all()


def test_mark_separates_core_edge_and_trace():
    alpha = np.array([[0.0, 0.05, 0.1, 0.3, 0.499, 0.5, 1.0]], np.float32)
    label = np.full((1, 7), 3, np.uint8)
    expected = [3, 3, IGNORE, IGNORE, IGNORE, NEGATIVE, NEGATIVE]
    assert mark(label, alpha, 0, 0).tolist() == [expected]
    assert (label == 3).all()


def test_mark_keeps_an_earlier_negative_under_a_soft_edge():
    label = np.full((1, 2), NEGATIVE, np.uint8)
    assert (mark(label, np.array([[0.3, 0.7]], np.float32), 0, 0) == NEGATIVE).all()


def test_mark_ignores_the_soft_edge_of_a_known_object_over_a_negative():
    label = np.full((1, 2), NEGATIVE, np.uint8)
    assert mark(label, np.array([[0.3, 0.7]], np.float32), 0, 0, 13).tolist() == [[IGNORE, 13]]


def test_mark_covers_void():
    label = np.full((1, 1), IGNORE, np.uint8)
    assert mark(label, np.ones((1, 1), np.float32), 0, 0) == NEGATIVE


def test_feather_rises_with_the_distance_to_the_edge():
    mask = np.ones((40, 41), np.float32)
    soft = feather(mask, 3)
    assert soft[20, :6] == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1], abs=0.01)
    assert soft[20] == pytest.approx(soft[20, ::-1])
    assert feather(mask, 0) is mask


def test_feather_never_grows_the_object_and_keeps_a_core(rng):
    mask = np.zeros((30, 30), np.float32)
    mask[10:13, 5:25] = 1
    soft = feather(mask, 10)
    assert (soft <= mask).all()
    assert soft.max() == 1
    empty = np.zeros((5, 5), np.float32)
    assert (feather(empty, 2) == 0).all()


@pytest.mark.parametrize("strength", [0.0, 0.4, 1.0])
def test_match_colour_moves_mean_and_deviation_linearly(rng, strength):
    patch = rng.normal([50, 100, 150], [10, 20, 30], (30, 40, 3)).astype(np.float32)
    region = np.clip(rng.normal([120, 90, 60], [15, 15, 30], (30, 40, 3)), 0, 255).astype(np.uint8)
    alpha = np.zeros((30, 40), np.float32)
    alpha[5:20, 5:30] = 1
    core = alpha > 0
    matched = match_colour(patch, alpha, region, strength)
    before, after, target = patch[core], matched[core], region.reshape(-1, 3)
    mean = (1 - strength) * before.mean(0) + strength * target.mean(0)
    spread = (1 - strength) * before.std(0) + strength * target.std(0)
    assert after.mean(0) == pytest.approx(mean, abs=0.01)
    assert after.std(0) == pytest.approx(spread, abs=0.01)


def test_match_colour_does_not_flatten_on_a_flat_road(rng):
    patch = rng.normal(100, 20, (30, 40, 3)).astype(np.float32)
    region = np.full((5, 5, 3), 90, np.uint8)
    matched = match_colour(patch, np.ones((30, 40), np.float32), region, 1.0)
    assert matched.std((0, 1)) == pytest.approx(patch.std((0, 1)) / 2, rel=1e-3)
    assert matched.mean((0, 1)) == pytest.approx([90, 90, 90], abs=0.01)


def test_a_shadow_lies_at_the_foot_and_darkens_by_what_was_asked():
    image = np.full((80, 120, 3), 200, np.uint8)
    alpha = np.zeros((40, 30), np.float32)
    alpha[5:35, 5:25] = 1
    shaded = cast_shadow(image, alpha, 20, 40, 0.5)
    foot, middle = 20 + 34, 40 + 14.5
    loss = 1 - shaded[..., 0] / 200
    row, column = np.unravel_index(loss.argmax(), loss.shape)
    assert row == foot
    assert abs(column - middle) <= 1
    assert loss.max() == pytest.approx(0.5, abs=0.01)
    assert loss[:40].max() < 0.01
    assert loss[foot, 40 + 25 + 12] < 0.1
    assert (image == 200).all()
    assert cast_shadow(image, alpha, 20, 40, 0) is image


def test_a_shadow_darkens_the_ground_alone_and_changes_no_label():
    batch = tiny.batch(1, 64, 96)
    plain, shaded = (
        NEGATIVES.build(
            "shapes", {"look": {"count": [1, 1], "side": [20, 30], "shadow": shadow}}
        ).mix(batch, np.random.default_rng(0))
        for shadow in ([0, 0], [0.5, 0.5])
    )
    assert torch.equal(plain.label, shaded.label)
    object_, change = plain.label == NEGATIVE, shaded.image.int() - plain.image.int()
    around = ((plain.label != NEGATIVE) & (plain.label != IGNORE))[:, None].expand_as(change)
    assert change[around].max() <= 0
    assert change[around].min() < -10
    inside = object_[:, None].expand_as(change)
    assert change[inside].abs().float().mean() < 5
