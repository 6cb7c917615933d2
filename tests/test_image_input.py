"""What a model takes as an image: floats beyond 0..1 are refused with what to give instead."""

from __future__ import annotations

import io
from pathlib import PurePath

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from torch._subclasses.fake_tensor import FakeTensorMode

import roadanomaly as ra
from roadanomaly.errors import DataError
from roadanomaly.image_input import as_tensor, extremes, require_range


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return ra.Model(ra.segmenter("espnetv2", scale=0.5), ra.detector("energy"))


def uniform(low, high, dtype=torch.float32):
    image = torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(0))
    image[0, 0, 0], image[0, 0, 1] = 0, 1
    return (low + image * (high - low)).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_floats_up_to_255_are_refused(model, dtype):
    with pytest.raises(DataError, match=r"from 0 to 255: divide by 255, or give uint8"):
        model(uniform(0, 255, dtype))


def test_normalised_floats_are_refused(model):
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    given = (uniform(0, 1) - mean[:, None, None]) / deviation[:, None, None]
    with pytest.raises(DataError, match=r"normalised by mean and deviation.*by itself"):
        model(given)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_are_none_are_refused(model, value):
    given = uniform(0, 1)
    given[1, 2, 3] = value
    with pytest.raises(DataError, match="NaN or infinite"):
        model(given)


def test_what_resizing_overshoots_is_taken(model):
    assert model(uniform(-0.05, 1.05)).score.shape == (32, 32)


@pytest.mark.parametrize(("low", "high"), [(-0.06, 1), (0, 1.06)])
def test_beyond_that_it_is_not(low, high):
    with pytest.raises(DataError, match=r"must lie in 0\.\.1"):
        as_tensor(uniform(low, high))


def test_a_pillow_image_of_16_bits_is_its_file(tmp_path):
    stored = np.random.default_rng(0).integers(0, 1 << 16, (24, 32)).astype(np.uint16)
    cv2.imwrite(str(tmp_path / "a.png"), stored)
    with Image.open(tmp_path / "a.png") as image:
        assert image.mode.startswith("I;16")
        assert torch.equal(as_tensor(image), as_tensor(tmp_path / "a.png"))


def test_a_pillow_image_of_floats_is_a_tensor_of_floats():
    grey = uniform(0, 1)[0]
    given = as_tensor(Image.fromarray(grey.numpy()))
    assert torch.equal(given, grey.expand(3, -1, -1))
    with pytest.raises(DataError, match=r"from 0 to 255: divide by 255, or give uint8"):
        as_tensor(Image.fromarray(grey.numpy() * 255))


@pytest.mark.parametrize("top", [256, 30840, 65535, 0])
def test_a_pillow_image_of_integers_is_one_of_16_bits(top):
    values = np.linspace(0, top, 24 * 32).astype(np.int32).reshape(24, 32)
    short = Image.fromarray(values.astype(np.uint16))
    assert Image.fromarray(values).mode == "I"
    assert torch.equal(as_tensor(Image.fromarray(values)), as_tensor(short))


@pytest.mark.parametrize(("low", "high"), [(0, 255), (0, 1), (-1, 300), (0, 65536)])
def test_integers_that_do_not_say_what_is_white_are_refused(low, high):
    values = np.full((8, 8), low, np.int32)
    values[0, 0] = high
    told = rf"mode I whose values reach from {low} to {high} does not say.*convert\(\"L\"\)"
    with pytest.raises(DataError, match=told):
        as_tensor(Image.fromarray(values))


def test_a_pillow_image_whose_file_is_cut_off_is_refused(tmp_path):
    content = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(
        content, "png"
    )
    (tmp_path / "a.png").write_bytes(content.getvalue()[:4000])
    with (
        Image.open(tmp_path / "a.png") as image,
        pytest.raises(DataError, match=r"PIL image \(mode RGB\) cannot be read .*truncated"),
    ):
        as_tensor(image)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (None, "None is no image. Give a path, a PIL image"),
        (3, "of type int is no image"),
        (b"abc", r"of type bytes .*PIL\.Image\.open"),
        (["a.png"], "of type list .*one by one"),
        ("a\0b.png", r"'a\\x00b.png' cannot be the path of a file"),
        ("", "cannot read"),
        (torch.zeros(3, 0, 60), "at least one pixel, but this one is 60×0"),
        (torch.zeros(3, 0, 0, dtype=torch.uint8), "at least one pixel"),
        (np.zeros((0, 7, 3), np.uint8), "this one is 7×0"),
        *((Image.new(mode, (0, 0)), "at least one pixel") for mode in ("RGB", "L", "F", "I")),
    ],
)
def test_what_is_no_image_is_refused_in_a_sentence(model, given, told):
    with pytest.raises(DataError, match=told):
        model(given)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda one: one.to("meta"), "not on the device meta, which holds no values; give the"),
        (torch.Tensor.to_sparse, r"not of the layout torch\.sparse_coo; give tensor\.to_dense\(\)"),
        (lambda one: one[0].to_sparse_csr(), r"torch\.sparse_csr"),
        (torch.Tensor.to_mkldnn, r"of the layout torch\._mkldnn"),
        (lambda one: torch.quantize_per_tensor(one, 0.01, 0, torch.quint8), r"\.dequantize\(\)"),
        (lambda one: torch.nested.nested_tensor([one]), "not nested; give each of its images"),
    ],
    ids=["meta", "sparse", "csr", "mkldnn", "quantised", "nested"],
)
@pytest.mark.filterwarnings("ignore")  # torch's own, of what is about to change there
def test_a_tensor_that_is_not_dense_is_refused_in_a_sentence(model, change, told):
    with pytest.raises(DataError, match=f"must be dense, on a CPU or an accelerator, .*{told}"):
        model(change(uniform(0, 1)))


@pytest.mark.parametrize(
    ("dtype", "told"),
    [
        ("f4", r"floating-point TIFF \(32 bits\).*8 or 16 bits, its values times 255"),
        ("f8", r"floating-point TIFF \(64 bits\)"),
        ("i4", "TIFF of 32-bit integers.*scaled to 0..255"),
    ],
)
@pytest.mark.parametrize("channels", [(), (3,)])
def test_a_tiff_of_other_numbers_than_pictures_have_is_called_what_it_is(
    tmp_path, dtype, told, channels
):
    path = tmp_path / "a.tiff"
    cv2.imwrite(str(path), np.ones((8, 8, *channels), dtype))
    with pytest.raises(DataError, match=told):
        as_tensor(path)
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(DataError, match="damaged or no image"):
        as_tensor(path)


def test_a_pure_path_is_a_path(tmp_path):
    Image.new("RGB", (8, 6), (1, 2, 3)).save(tmp_path / "a.png")
    assert torch.equal(as_tensor(PurePath(tmp_path / "a.png")), as_tensor(tmp_path / "a.png"))


def test_a_dark_image_of_bytes_and_one_of_floats_score_alike(model):
    dark = torch.randint(0, 2, (3, 32, 32), dtype=torch.uint8)
    np.testing.assert_array_equal(model(dark).score, model(dark.float() / 255).score)


def test_on_an_accelerator_nothing_is_read_before_the_scores():
    """A tensor that only pretends stands for one whose values the host has not waited for."""
    with FakeTensorMode():
        far = torch.empty(3, 8, 8, device="cuda")
        pending = extremes(as_tensor(far))
    assert pending.device == far.device
    assert extremes(as_tensor(uniform(0, 1))) is None
    with pytest.raises(DataError, match="divide by 255"):
        require_range(torch.tensor([0.0, 255.0]))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_cuda_the_check_waits_for_nothing_and_still_refuses(model):
    given = uniform(0, 255).cuda()
    torch.cuda.set_sync_debug_mode("error")
    try:
        pending = extremes(as_tensor(given))
    finally:
        torch.cuda.set_sync_debug_mode("default")
    with pytest.raises(DataError, match="divide by 255"):
        require_range(pending)
