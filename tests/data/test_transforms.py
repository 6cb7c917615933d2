"""The joint transforms: maps stay on their image, equal generators give equal frames.

Most tests use a frame that knows its own coordinates: red and label hold x, green and anomaly y.
Linear resampling keeps a ramp a ramp, so image and masks must agree after any change of geometry.
"""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest
import torch

from roadanomaly.data.geometry import draw_window
from roadanomaly.data.images import to_array, to_tensor
from roadanomaly.data.stack import stack
from roadanomaly.data.transforms import (
    ColourJitter,
    Compose,
    Degrade,
    RandomCrop,
    RandomFlip,
    RandomScale,
    RandomScaleCrop,
    Resize,
)
from roadanomaly.errors import OptionError
from roadanomaly.types import IGNORE, NEGATIVE, Batch, Frame

HEIGHT, WIDTH = 120, 200

GEOMETRY = [
    RandomScaleCrop(96, 128, 0.5, 2.0),
    RandomScaleCrop(96, 128, 1.5, 2.5),
    RandomScaleCrop(200, 300, 0.4, 0.9),
    RandomScaleCrop(50, 300, 0.6, 1.4),
    RandomScale(0.4, 2.0),
    RandomCrop(64, 64),
    RandomCrop(160, 220),
    RandomFlip(1.0),
    Resize(77, 301),
    Compose((RandomScaleCrop(96, 128), RandomFlip(0.5))),
]
ALL = [*GEOMETRY, ColourJitter(hue=0.1), Degrade(p=0.7)]


def rng(seed=0):
    return np.random.default_rng(seed)


def coordinates() -> Frame:
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.uint8)
    image = np.stack([x, y, np.full_like(x, 77)], -1)
    return Frame("f", to_tensor(image), torch.from_numpy(x), torch.from_numpy(y))


def photo(height=90, width=130) -> np.ndarray:
    noise = rng(5).integers(0, 256, (height, width, 3), dtype=np.uint8)
    smooth = cv2.GaussianBlur(noise, (0, 0), 3).astype(np.float32)
    return np.clip((smooth - 128) * 5 + 128, 0, 255).astype(np.uint8)


def equal(a: Frame, b: Frame) -> bool:
    return all(torch.equal(getattr(a, key), getattr(b, key)) for key in ("image", "label"))


@pytest.mark.parametrize("transform", GEOMETRY, ids=str)
def test_masks_stay_on_the_image(transform):
    for seed in range(20):
        moved = transform(coordinates(), rng(seed))
        image = to_array(moved.image).astype(int)
        label, anomaly = moved.label.numpy().astype(int), moved.anomaly.numpy().astype(int)
        assert image.shape[:2] == label.shape == anomaly.shape
        assert moved.image.dtype == moved.label.dtype == moved.anomaly.dtype == torch.uint8
        inside = anomaly != IGNORE
        assert (inside == (label != IGNORE)).all()
        assert np.abs(image[..., 0] - label)[inside].max() <= 2
        assert np.abs(image[..., 1] - anomaly)[inside].max() <= 2
        assert (image[..., 2] == 77).all()


@pytest.mark.parametrize("transform", ALL, ids=str)
def test_equal_generators_give_equal_frames(transform):
    frame = Frame(
        "f", to_tensor(photo()), torch.arange(90, dtype=torch.uint8)[:, None].repeat(1, 130)
    )
    before = frame.image.clone(), frame.label.clone()
    first, second = transform(frame, rng(3)), transform(frame, rng(3))
    assert equal(first, second)
    assert torch.equal(frame.image, before[0])
    assert torch.equal(frame.label, before[1])
    assert first.id == "f"
    if transform not in (RandomFlip(1.0), Resize(77, 301)):
        assert any(
            first.image.shape != other.image.shape or not equal(first, other)
            for other in (transform(frame, rng(seed)) for seed in (4, 5, 6))
        )


@pytest.mark.parametrize("transform", ALL, ids=str)
def test_what_is_not_known_stays_unknown(transform):
    moved = transform(Frame("f", to_tensor(photo())), rng())
    assert moved.label is None
    assert moved.anomaly is None


@pytest.mark.parametrize("transform", ALL, ids=str)
def test_memory_layout_does_not_matter(transform):
    frame = Frame("f", to_tensor(photo()), torch.zeros(90, 130, dtype=torch.uint8))
    packed = Frame("f", frame.image.contiguous(), frame.label)
    assert equal(transform(frame, rng(1)), transform(packed, rng(1)))


def test_crop_is_a_window_of_the_frame():
    for seed in range(10):
        frame = RandomCrop(64, 80)(coordinates(), rng(seed))
        y, x = int(frame.anomaly[0, 0]), int(frame.label[0, 0])
        whole = coordinates()
        assert torch.equal(frame.image, whole.image[:, y : y + 64, x : x + 80])
        assert torch.equal(frame.label, whole.label[y : y + 64, x : x + 80])


def test_crop_reaches_every_place():
    corners = [RandomCrop(HEIGHT - 1, WIDTH - 2)(coordinates(), rng(i)) for i in range(60)]
    assert {(int(f.anomaly[0, 0]), int(f.label[0, 0])) for f in corners} == {
        (y, x) for y in range(2) for x in range(3)
    }


def test_window_larger_than_the_frame_repeats_its_edge_and_ignores_it():
    frame = RandomCrop(HEIGHT + 30, WIDTH + 20)(coordinates(), rng(1))
    known = frame.label != IGNORE
    top, left = (int(axis.min()) for axis in known.nonzero(as_tuple=True))
    assert int(known.sum()) == HEIGHT * WIDTH
    expected = np.pad(
        to_array(coordinates().image),
        ((top, 30 - top), (left, 20 - left), (0, 0)),
        mode="edge",
    )
    np.testing.assert_array_equal(to_array(frame.image), expected)


def test_flip_equals_numpy_and_happens_as_often_as_told():
    frame = coordinates()
    flipped = RandomFlip(1.0)(frame, rng())
    np.testing.assert_array_equal(flipped.image.numpy(), frame.image.numpy()[:, :, ::-1])
    np.testing.assert_array_equal(flipped.label.numpy(), frame.label.numpy()[:, ::-1])
    assert equal(RandomFlip(0.0)(frame, rng()), frame)
    generator = rng(2)
    share = np.mean([not equal(RandomFlip(0.3)(frame, generator), frame) for _ in range(400)])
    assert abs(share - 0.3) < 4 * np.sqrt(0.3 * 0.7 / 400)


@pytest.mark.parametrize(
    ("size", "how"), [((45, 65), cv2.INTER_AREA), ((180, 200), cv2.INTER_LINEAR)]
)
def test_resize_equals_opencv(size, how):
    resized = Resize(*size)(Frame("f", to_tensor(photo())), rng())
    expected = cv2.resize(photo(), size[::-1], interpolation=how)
    np.testing.assert_array_equal(to_array(resized.image), expected)


def test_a_third_takes_the_middle_pixel():
    label = torch.from_numpy(rng().integers(0, 19, (90, 120), dtype=np.uint8))
    frame = Frame("f", torch.zeros(3, 90, 120, dtype=torch.uint8), label)
    assert torch.equal(Resize(30, 40)(frame, rng()).label, label[1::3, 1::3])


def test_scale_keeps_proportions_and_range():
    sizes = [RandomScale(0.5, 1.5)(coordinates(), rng(i)).label.shape for i in range(200)]
    factors = np.array([height / HEIGHT for height, _ in sizes])
    assert 0.5 <= factors.min() < 0.55
    assert 1.45 < factors.max() <= 1.5
    for height, width in sizes:
        assert abs(height / HEIGHT - width / WIDTH) <= 0.5 / HEIGHT + 0.5 / WIDTH


@pytest.mark.parametrize("factor", [0.6, 0.8, 1.3, 1.9])
def test_fused_scale_crop_shows_what_scaling_first_would(factor):
    frame = Frame("f", to_tensor(photo(180, 240)))
    fused = to_array(RandomScaleCrop(80, 100, factor, factor)(frame, rng(4)).image)
    whole = to_array(RandomScale(factor, factor)(frame, rng()).image)
    match = cv2.matchTemplate(whole, fused, cv2.TM_CCOEFF_NORMED)
    assert match.max() > 0.995
    y, x = np.unravel_index(match.argmax(), match.shape)
    part = whole[y : y + 80, x : x + 100]
    assert np.abs(part.astype(int) - fused).mean() < 6


def test_balanced_windows_show_a_rare_class_as_often_as_a_common_one():
    """Of two classes, each is asked for in half of the windows; the other half shows any place."""
    label = torch.zeros(HEIGHT, WIDTH, dtype=torch.uint8)
    label[50, 20] = 7
    frame = Frame("f", coordinates().image, label)
    for factor in (1.0, 1.7):
        cut = RandomScaleCrop(24, 24, factor, factor, balance=1.0)
        shown = [bool((cut(frame, rng(seed)).label == 7).any()) for seed in range(300)]
        assert 0.42 < np.mean(shown) < 0.62
    at_random = [
        bool((RandomScaleCrop(24, 24, 1.0, 1.0)(frame, rng(i)).label == 7).any())
        for i in range(300)
    ]
    assert np.mean(at_random) < 0.15


def test_a_balanced_window_lies_at_any_place_that_shows_the_pixel():
    label = torch.full((HEIGHT, WIDTH), IGNORE, dtype=torch.uint8)
    label[HEIGHT // 2, WIDTH // 2] = NEGATIVE
    frame = Frame("f", coordinates().image, label)
    cut = RandomScaleCrop(16, 24, 1.0, 1.0, balance=1.0)
    places = [np.argwhere(cut(frame, rng(seed)).label.numpy() == NEGATIVE) for seed in range(400)]
    assert all(len(place) == 1 for place in places)
    rows, columns = np.concatenate(places).T
    assert set(rows) == set(range(16))
    assert set(columns) == set(range(24))


@pytest.mark.parametrize("scale", [1.3, 2.0, 3.1])
def test_a_window_holds_the_pixel_that_it_must_show(scale):
    """And lies where it was drawn, but for the pixel by which rounding moves it."""
    for side, wanted, seed in itertools.product((30, 101), (1, 5, 16), range(4)):
        scaled = round(side * scale)
        for shown in range(side):
            window = draw_window(side, scaled, wanted, rng(seed), shown)
            assert 0 <= window.start <= shown < window.stop <= side
            place = int((shown + 0.5) * scaled / side)
            first, last = max(0, place - wanted + 1), min(scaled - wanted, place)
            drawn = int(rng(seed).integers(first, last + 1)) * side / scaled
            assert abs(window.start - drawn) <= 1.5


@pytest.mark.parametrize("transform", GEOMETRY, ids=str)
def test_a_crop_knows_its_place_in_the_frame(transform):
    """What each pixel shows lies where the place says; of a mirrored one, in the mirrored frame."""
    for seed in range(10):
        moved = transform(coordinates(), rng(seed))
        across, down = moved.label.numpy().astype(int), moved.anomaly.numpy().astype(int)
        inside = across != IGNORE
        row = across[inside.any(1)][0]
        if np.diff(row[row != IGNORE]).min() < 0:
            across = WIDTH - 1 - across
        top, left, bottom, right = moved.place
        height, width = across.shape
        x = WIDTH * (left + (right - left) * (np.arange(width) + 0.5) / width) - 0.5
        y = HEIGHT * (top + (bottom - top) * (np.arange(height)[:, None] + 0.5) / height) - 0.5
        assert np.abs(across - x)[inside].max() < 2
        assert np.abs(down - y)[inside].max() < 2


def test_a_batch_tells_the_places_of_crops_and_none_of_whole_frames():
    whole = Resize(HEIGHT, 100)(coordinates(), rng())
    crop = RandomCrop(HEIGHT, 100)(coordinates(), rng(3))
    left = int(crop.label[0, 0])
    assert stack([whole, whole]).places is None
    expected = [[0, 0, 1, 1], [0, left / WIDTH, 1, (left + 100) / WIDTH]]
    np.testing.assert_allclose(stack([whole, crop]).places, expected, atol=1e-6)


def test_negative_and_ignore_survive_scaling():
    label = torch.zeros(HEIGHT, WIDTH, dtype=torch.uint8)
    label[20:60, 30:90], label[70:90, 100:150] = NEGATIVE, IGNORE
    frame = Frame("f", coordinates().image, label)
    for seed in range(20):
        moved = RandomScaleCrop(96, 128)(frame, rng(seed))
        assert set(moved.label.unique().tolist()) <= {0, NEGATIVE, IGNORE}


@pytest.mark.parametrize(
    ("build", "option"),
    [
        (lambda: RandomCrop(0, 5), "height"),
        (lambda: Resize(5, 0), "width"),
        (lambda: RandomScale(0.0, 1.0), "low"),
        (lambda: RandomScaleCrop(5, 5, 2.0, 1.0), "low"),
        (lambda: RandomFlip(1.5), "p"),
        (lambda: ColourJitter(hue=0.6), "hue"),
        (lambda: ColourJitter(contrast=-0.1), "contrast"),
        (lambda: Degrade(blur=11), "blur"),
        (lambda: Degrade(jpeg=101), "jpeg"),
        (lambda: Degrade(noise=-1), "noise"),
    ],
)
def test_values_outside_the_range_are_refused(build, option):
    with pytest.raises(OptionError, match=rf"`{option}` of \w+ is .*allowed is"):
        build()


def test_batch_is_degraded_and_its_original_is_not():
    image = torch.from_numpy(photo()).permute(2, 0, 1).repeat(3, 1, 1, 1)
    label = torch.full((3, 90, 130), NEGATIVE, dtype=torch.uint8)
    batch = Batch(image, label, ("a", "b", "c"), original=image.clone())
    worse = Degrade(p=1.0).batch(batch, rng())
    assert torch.equal(worse.original, image)
    assert torch.equal(worse.label, label)
    assert worse.image.shape == image.shape
    assert worse.image.is_contiguous()
    assert not torch.equal(worse.image[0], worse.image[1])
    assert torch.equal(Degrade(p=0.0).batch(batch, rng()).image, image)
