"""Photographs are upright whatever their EXIF says; benchmarks' frames are as they are stored."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngImageFile, PngInfo

from roadanomaly.data.folder import Folder
from roadanomaly.data.images import (
    fits_upright,
    image_size,
    read_alpha,
    read_image,
    to_array,
    write_image,
)
from roadanomaly.data.orientation import righted
from roadanomaly.data.smiyc import SmiycAnomaly
from roadanomaly.errors import DataError
from roadanomaly.image_input import as_tensor
from roadanomaly.serve import decode_worker
from tests import layouts
from tests.photographs import SIDEWAYS, photograph, save


def seen(path):
    """Read as Pillow's own tool turns it."""
    with Image.open(path) as image:
        return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))


def stored(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_in_every_format_is_upright(tmp_path, orientation, suffix):
    path = save(tmp_path / f"a{suffix}", photograph(), orientation)
    found = to_array(read_image(path))
    np.testing.assert_allclose(found.astype(int), seen(path), atol=2)
    assert image_size(path) == found.shape[:2] == seen(path).shape[:2]


def exif_behind_the_pixels(path, orientation):
    """A PNG whose eXIf chunk stands after its pixels, where the format allows it as well."""
    data = save(path, photograph(), orientation).read_bytes()
    begin = data.index(b"eXIf") - 4
    end = begin + 12 + int.from_bytes(data[begin : begin + 4], "big")
    last = data.index(b"IEND") - 4
    path.write_bytes(data[:begin] + data[end:last] + data[begin:end] + data[last:])


def imagemagick_profile(path, orientation):
    """A PNG with the EXIF record in hexadecimal text, as ImageMagick writes it."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    record = exif.tobytes()
    text = PngInfo()
    text.add_text("Raw profile type exif", f"\nexif\n{len(record):8}\n{record.hex()}\n", zip=True)
    photograph().save(path, pnginfo=text)


@pytest.mark.parametrize("orientation", [3, 6])
@pytest.mark.parametrize("write", [exif_behind_the_pixels, imagemagick_profile])
def test_a_png_says_it_elsewhere_too(tmp_path, write, orientation):
    path = tmp_path / "a.png"
    write(path, orientation)
    found = to_array(read_image(path))
    np.testing.assert_array_equal(found, seen(path))
    assert image_size(path) == found.shape[:2]
    assert not np.array_equal(found, stored(path))


def test_pillow_does_not_decode_the_pixels_of_a_png_that_says_nothing(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    photograph().save(path)
    monkeypatch.setattr(PngImageFile, "load", lambda *_: pytest.fail("decoded twice"))
    assert read_image(path).shape == (3, 24, 32)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_as_stored_means_the_files_own_pixels(tmp_path, orientation, suffix):
    path = save(tmp_path / f"a{suffix}", photograph(), orientation)
    found = to_array(read_image(path, upright=False))
    np.testing.assert_allclose(found.astype(int), stored(path), atol=2)
    assert image_size(path, upright=False) == found.shape[:2] == (24, 32)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_pil_image_is_taken_upright(tmp_path, orientation):
    path = save(tmp_path / "a.png", photograph(), orientation)
    with Image.open(path) as image:
        found = as_tensor(image)
    assert torch.equal(found, read_image(path).float() / 255)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_transparency_is_turned_with_its_colours(tmp_path, orientation):
    rgba = Image.fromarray(np.random.default_rng(0).integers(0, 256, (6, 8, 4), np.uint8), "RGBA")
    path = save(tmp_path / "a.png", rgba, orientation)
    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image))[..., 3]
    np.testing.assert_array_equal(read_alpha(path), expected)


@pytest.mark.parametrize("orientation", [0, 9, 77])
def test_an_orientation_that_is_none_changes_nothing(tmp_path, orientation):
    path = save(tmp_path / "a.png", photograph(), orientation)
    np.testing.assert_array_equal(to_array(read_image(path)), np.asarray(photograph()))


def test_broken_exif_changes_nothing(tmp_path):
    photograph().save(tmp_path / "a.jpg", exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xff broken")
    assert read_image(tmp_path / "a.jpg").shape == (3, 24, 32)


def test_turning_what_is_upright_copies_nothing():
    array = np.zeros((4, 5, 3), np.uint8)
    assert np.shares_memory(righted(array, 1), array)


@pytest.mark.parametrize("orientation", SIDEWAYS)
def test_a_written_size_decides(tmp_path, orientation):
    path = save(tmp_path / "a.jpg", photograph(), orientation)
    assert fits_upright(path, (32, 24))
    assert fits_upright(path, (64, 48))
    assert not fits_upright(path, (24, 32))
    assert fits_upright(path, (10, 10))


@pytest.mark.parametrize("orientation", [2, 3, 4])
def test_a_size_that_fits_both_means_upright(tmp_path, orientation):
    assert fits_upright(save(tmp_path / "a.jpg", photograph(), orientation), (24, 32))


@pytest.fixture
def phone(tmp_path):
    """A folder with one photograph that lies on its side, and its upright label."""
    save(tmp_path / "images" / "phone.png", photograph(), 6)
    label = np.zeros((32, 24), np.uint8)
    label[20:26, 4:10] = 1
    write_image(tmp_path / "labels" / "phone.png", label)
    return tmp_path


def test_a_label_drawn_on_the_upright_photograph_fits(phone):
    frame = Folder(root=phone)[0]
    assert frame.image.shape == (3, 32, 24)
    assert frame.anomaly.sum() == 36


def test_a_label_of_the_stored_pixels_is_explained_and_can_be_used(phone):
    write_image(phone / "labels" / "phone.png", np.eye(24, 32, dtype=np.uint8))
    with pytest.raises(DataError, match=r"fits only the pixels as they are stored.*upright false"):
        Folder(root=phone)[0]
    frames = Folder(root=phone, upright=False)
    assert frames[0].image.shape == (3, 24, 32)
    assert frames[0].anomaly.sum() == 24
    assert frames.record()["upright"] is False


def test_a_benchmarks_frame_is_read_as_its_tool_reads_it(tmp_path):
    top = layouts.smiyc_anomaly(tmp_path) / "dataset_AnomalyTrack"
    path = top / "images" / "validation0000.jpg"
    save(path, photograph(), 6)
    frames = SmiycAnomaly(root=tmp_path)
    np.testing.assert_allclose(to_array(frames[0].image).astype(int), stored(path), atol=2)
    assert frames.size("validation0000") == (24, 32)
    layouts.write_ids(top / "labels_masks" / "validation0000_labels_semantic.png", (0, 1), (32, 24))
    with pytest.raises(DataError, match=r"fits only the upright photograph.*published"):
        frames[0]


def test_an_upload_is_decoded_upright(tmp_path, monkeypatch):
    monkeypatch.setattr(decode_worker.resource, "setrlimit", lambda *_: None)
    monkeypatch.setenv("OPENCV_IO_MAX_IMAGE_PIXELS", "")
    path = save(tmp_path / "upload.jpg", photograph(), 6)
    decode_worker.main(path, tmp_path)
    found = to_array(read_image(tmp_path / "image.png"))
    np.testing.assert_allclose(found.astype(int), seen(path), atol=2)
