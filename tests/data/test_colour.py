"""Colours, noise, blur and compression against torchvision, Pillow and closed forms."""

from __future__ import annotations

import io

import cv2
import numpy as np
import pytest
from PIL import Image
from torchvision.transforms import functional

from roadanomaly.data.colour import GREY, add_noise, colour_matrix, recompress
from roadanomaly.data.images import to_array, to_tensor
from roadanomaly.data.transforms import ColourJitter, Degrade
from roadanomaly.types import Frame


def photo() -> np.ndarray:
    noise = np.random.default_rng(5).integers(0, 256, (90, 130, 3), dtype=np.uint8)
    smooth = cv2.GaussianBlur(noise, (0, 0), 3).astype(np.float32)
    return np.clip((smooth - 128) * 4 + 120, 0, 255).astype(np.uint8)


def jittered(seed, **strength) -> np.ndarray:
    off = dict.fromkeys(("brightness", "contrast", "saturation", "hue"), 0.0)
    frame = Frame("f", to_tensor(photo()))
    return to_array(ColourJitter(**{**off, **strength})(frame, np.random.default_rng(seed)).image)


def factor(seed, place) -> float:
    """Return the draw that the option at `place` gets, in 0.5..1.5 for a strength of 0.5."""
    return 0.5 + float(np.random.default_rng(seed).random(4)[place])


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("option", ["brightness", "contrast", "saturation"])
def test_jitter_equals_torchvision(option, seed):
    place = ("brightness", "contrast", "saturation").index(option)
    adjust = getattr(functional, f"adjust_{option}")
    expected = to_array(adjust(to_tensor(photo()).contiguous(), factor(seed, place)))
    difference = np.abs(jittered(seed, **{option: 0.5}).astype(int) - expected)
    assert difference.max() <= 2


def test_no_strength_changes_nothing():
    np.testing.assert_array_equal(jittered(0), photo())


@pytest.mark.parametrize("seed", range(4))
def test_hue_turns_pale_colours_about_as_torchvision_does(seed):
    pale = (128 + (photo().astype(np.float32) - 128) * 0.15).astype(np.uint8)
    turn = 0.2 * float(np.random.default_rng(seed).random(4)[3]) - 0.1
    jitter = ColourJitter(0, 0, 0, 0.1)
    ours = jitter(Frame("f", to_tensor(pale)), np.random.default_rng(seed)).image
    theirs = functional.adjust_hue(to_tensor(pale).contiguous(), turn)
    assert (to_array(ours).astype(int) - to_array(theirs)).std() < 2.5


def test_hue_goes_from_red_to_green_to_blue():
    third = colour_matrix(1.0, 2 * np.pi / 3)
    assert [int((third @ colour).argmax()) for colour in np.eye(3)] == [1, 2, 0]


def test_colour_matrix_keeps_grey_and_luma():
    for saturation, turn in ((0.0, 1.0), (0.5, 0.3), (1.4, -2.0)):
        matrix = colour_matrix(saturation, turn)
        np.testing.assert_allclose(matrix @ np.ones(3), 1, atol=1e-5)
        np.testing.assert_allclose(GREY @ matrix, GREY, atol=1e-5)


def test_colour_matrix_closed_forms():
    np.testing.assert_allclose(colour_matrix(1, 0), np.eye(3), atol=1e-9)
    np.testing.assert_allclose(colour_matrix(0, 2), np.tile(GREY, (3, 1)), atol=1e-5)
    np.testing.assert_allclose(
        colour_matrix(1, 0.4) @ colour_matrix(1, 0.5), colour_matrix(1, 0.9), atol=1e-9
    )
    np.testing.assert_allclose(colour_matrix(1, 2 * np.pi), np.eye(3), atol=1e-9)


@pytest.mark.parametrize("sigma", [1.0, 4.0, 20.0])
def test_noise_has_its_deviation(sigma):
    grey = np.full((200, 200, 3), 128, np.uint8)
    noise = add_noise(grey, sigma, np.random.default_rng(0)).astype(float) - 128
    rounding = 1 / 12
    assert abs(noise.mean()) < 0.05 * sigma
    assert noise.std() == pytest.approx(np.sqrt(sigma**2 + rounding), rel=0.02)
    assert np.corrcoef(noise[..., 0].ravel(), noise[..., 1].ravel())[0, 1] < 0.02
    assert np.abs(noise).max() <= 2.95 * sigma + 1


def test_noise_saturates():
    for value in (0, 255):
        flat = np.full((50, 50, 3), value, np.uint8)
        assert np.abs(add_noise(flat, 9.0, np.random.default_rng(0)).astype(int) - value).max() < 30


@pytest.mark.parametrize("quality", [30, 60, 95])
def test_recompression_equals_pillow(quality):
    stored = io.BytesIO()
    Image.fromarray(photo()).save(stored, "JPEG", quality=quality)
    expected = np.asarray(Image.open(stored)).astype(int)
    assert np.abs(recompress(photo(), quality) - expected).mean() < 1


def sharpness(array) -> float:
    return float(cv2.Laplacian(array.astype(np.float32), cv2.CV_32F).var())


def test_blur_only_softens_and_the_whole_image():
    soft = Degrade(blur=3.0, jpeg=0, noise=0.0, p=1.0)
    results = [to_array(soft.image(to_tensor(photo()), np.random.default_rng(i))) for i in range(6)]
    assert all(sharpness(result) <= sharpness(photo()) for result in results)
    assert min(map(sharpness, results)) < 0.6 * sharpness(photo())


def test_parts_are_switched_off_by_zero():
    off = Degrade(blur=0.0, jpeg=0, noise=0.0, p=1.0)
    image = to_tensor(photo())
    np.testing.assert_array_equal(off.image(image, np.random.default_rng(0)), image)
