"""Reading and writing images: every stored form, and every way in which a file is broken."""

from __future__ import annotations

import io
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from roadanomaly.data.images import (
    image_size,
    list_images,
    read_image,
    read_label,
    to_array,
    to_tensor,
    write_image,
)
from roadanomaly.errors import DataError, UserError
from tests.layouts import write_photo

IDS = (np.arange(12 * 16).reshape(12, 16) % 13).astype(np.uint8)


def pattern(mode="RGB"):
    rng = np.random.default_rng(3)
    return Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)).convert(mode)


@pytest.mark.parametrize("mode", ["RGB", "L", "LA", "P", "RGBA"])
def test_image_equals_pillow(tmp_path: Path, mode):
    stored = pattern(mode)
    stored.save(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png")
    assert image.shape == (3, 12, 16)
    np.testing.assert_array_equal(to_array(image), np.asarray(stored.convert("RGB")))


def test_sixteen_bit_image_becomes_eight_bits(tmp_path: Path):
    cv2.imwrite(str(tmp_path / "a.png"), np.full((4, 5, 3), 40000, np.uint16))
    assert set(read_image(tmp_path / "a.png").unique().tolist()) <= {155, 156}


@pytest.fixture
def told(monkeypatch, caplog):
    """Return the warnings of a process that has given none yet."""
    monkeypatch.setattr("roadanomaly.data.image_arrays._told", [])
    return lambda: caplog.messages


@pytest.mark.parametrize("bits", [8, 10, 12, 14])
@pytest.mark.parametrize("name", ["a.png", "a.tif", "grey.png"])
def test_few_bits_of_sixteen_are_told_once_with_what_mends_them(tmp_path: Path, name, bits, told):
    values = np.random.default_rng(0).integers(0, 1 << bits, (24, 32, 3)).astype(np.uint16)
    values[3, 4] = (1 << bits) - 1
    stored = values[..., 0] if name.startswith("grey") else values
    for one in (name, f"second_{name}"):
        cv2.imwrite(str(tmp_path / one), stored)
        assert read_image(tmp_path / one).max() <= 1 << max(0, bits - 8)
    (said,) = told()
    assert f"{tmp_path / name} has 16 bits" in said
    assert f"largest value is {(1 << bits) - 1} " in said
    factor = int(re.search(r"multiply its values by (\d+)", said)[1])
    cv2.imwrite(str(tmp_path / "mended.png"), stored * np.uint16(factor))
    shown = values[..., ::-1] if stored is values else stored[..., None]
    expected = np.broadcast_to(shown.astype(float) / (1 << bits) * 256, values.shape)
    assert np.abs(to_array(read_image(tmp_path / "mended.png")) - expected).max() <= 1


@pytest.mark.parametrize(
    "stored",
    [
        np.full((4, 5), 16384, np.uint16),  # a dark picture of all its bits
        np.zeros((4, 5), np.uint16),
        np.full((4, 5, 3), 15, np.uint8),
    ],
)
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_other_pictures_are_read_without_a_warning(tmp_path: Path, stored, suffix, told):
    cv2.imwrite(str(tmp_path / f"a.{suffix}"), stored)
    read_image(tmp_path / f"a.{suffix}")
    assert not told()


def stored_label(kind, path: Path):
    if kind == "indexed":
        image = Image.fromarray(IDS).convert("P")
        image.putdata(IDS.ravel().tolist())
        image.putpalette(np.random.default_rng(0).integers(0, 256, 768).tolist())
        image.save(path)
    elif kind == "grey16":
        cv2.imwrite(str(path), IDS.astype(np.uint16))
    elif kind == "three equal channels":
        cv2.imwrite(str(path), np.repeat(IDS[..., None], 3, 2))
    else:
        cv2.imwrite(str(path), IDS)


@pytest.mark.parametrize("kind", ["grey8", "indexed", "grey16", "three equal channels"])
def test_label_gives_the_ids(tmp_path: Path, kind):
    stored_label(kind, tmp_path / "a.png")
    np.testing.assert_array_equal(read_label(tmp_path / "a.png").numpy(), IDS)


def test_one_bit_mask_gives_zero_and_one(tmp_path: Path):
    Image.fromarray((IDS > 5).astype(np.uint8) * 255).convert("1").save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_label(tmp_path / "a.png").numpy(), IDS > 5)


@pytest.mark.parametrize(
    ("array", "word"),
    [
        (np.full((4, 4), 26001, np.uint16), "26001"),
        (np.random.default_rng(0).integers(0, 9, (4, 4, 3), dtype=np.uint8), "colour"),
    ],
)
def test_instance_and_colour_files_are_no_labels(tmp_path: Path, array, word):
    cv2.imwrite(str(tmp_path / "a.png"), array)
    with pytest.raises(DataError, match=word) as error:
        read_label(tmp_path / "a.png")
    assert str(tmp_path / "a.png") in str(error.value)


def test_a_mask_of_floats_is_read_where_its_numbers_are_whole(tmp_path: Path):
    Image.fromarray(IDS.astype(np.float32)).save(tmp_path / "a.tif")
    np.testing.assert_array_equal(read_label(tmp_path / "a.tif").numpy(), IDS)
    for odd in (0.9, np.nan):
        soft = IDS.astype(np.float32)
        soft[2, 3] = odd
        Image.fromarray(soft).save(tmp_path / "a.tif")
        with pytest.raises(DataError, match=f"not whole, such as {odd}"):
            read_label(tmp_path / "a.tif")


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
@pytest.mark.parametrize("kept", [0.3, 0.7, -1])
def test_truncated_file_is_refused(tmp_path: Path, suffix, kept):
    path = tmp_path / f"a{suffix}"
    write_photo(path, 0, (60, 80))
    data = path.read_bytes()
    path.write_bytes(data[: kept if kept < 0 else int(len(data) * kept)])
    with pytest.raises(DataError, match=r"truncated.*again") as error:
        read_image(path)
    assert str(path) in str(error.value)


def test_truncated_jpeg_with_a_preview_is_refused(tmp_path: Path):
    preview, whole = io.BytesIO(), io.BytesIO()
    pattern().save(preview, "JPEG")
    big = Image.fromarray(np.random.default_rng(1).integers(0, 256, (60, 80, 3), dtype=np.uint8))
    big.save(whole, "JPEG", exif=b"Exif\x00\x00" + preview.getvalue())
    path = tmp_path / "a.jpg"
    path.write_bytes(whole.getvalue())
    assert read_image(path).shape == (3, 60, 80)
    path.write_bytes(whole.getvalue()[:-500])
    with pytest.raises(DataError, match="truncated"):
        read_image(path)


def test_progressive_jpeg_and_trailing_bytes_are_read(tmp_path: Path):
    path = tmp_path / "a.jpg"
    pattern().save(path, progressive=True)
    path.write_bytes(path.read_bytes() + b"\0" * 100)
    assert read_image(path).shape == (3, 12, 16)


@pytest.mark.parametrize("progressive", [False, True])
def test_a_photograph_with_a_film_behind_it_is_read(tmp_path: Path, progressive):
    """Marks that stand in the film by chance say nothing, whichever comes last."""
    path, preview = tmp_path / "a.jpg", io.BytesIO()
    pattern().save(preview, "JPEG")
    about = b"Exif\x00\x00" + preview.getvalue()
    big = Image.fromarray(np.random.default_rng(1).integers(0, 256, (60, 80, 3), dtype=np.uint8))
    big.save(path, progressive=progressive, exif=about)
    expected, data = np.asarray(Image.open(path)), path.read_bytes()
    film = np.random.default_rng(2).bytes(4000)
    for marks in (b"\xff\xd9\xff\xda", b"\xff\xda\xff\xd9", b"\xff\xda"):
        path.write_bytes(data + film + marks)
        found = to_array(read_image(path)).astype(int)
        assert np.abs(found - expected).max() <= 4
    path.write_bytes(data[: len(data) * 3 // 4])
    with pytest.raises(DataError, match="truncated"):
        read_image(path)
    path.write_bytes(data[: data.rfind(preview.getvalue()[-9:]) + 9])  # only the preview is whole
    with pytest.raises(DataError, match="truncated"):
        read_image(path)


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"\xff\xd8\xff\xd9"])
def test_what_is_no_image_is_refused(tmp_path: Path, content):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    for read in (read_image, read_label):
        with pytest.raises(DataError, match="again") as error:
            read(path)
        assert str(path) in str(error.value)


def test_damaged_pixels_of_a_png_are_refused(tmp_path: Path, capfd):
    for name, mode in (("grey.png", "L"), ("indexed.png", "P")):
        pattern(mode).save(tmp_path / name)
        data = bytearray((tmp_path / name).read_bytes())
        data[-40] ^= 255
        (tmp_path / name).write_bytes(bytes(data))
        with pytest.raises(DataError, match=name):
            read_label(tmp_path / name)


def test_missing_file_and_folder_are_refused(tmp_path: Path):
    for path in (tmp_path / "absent.png", tmp_path):
        with pytest.raises(DataError, match="Check the path") as error:
            read_image(path)
        assert str(path) in str(error.value)


def test_written_image_comes_back_and_leaves_nothing_else(tmp_path: Path):
    colours = np.asarray(pattern())
    write_image(tmp_path / "new" / "a.png", colours)
    write_image(tmp_path / "new" / "b.png", IDS)
    write_image(tmp_path / "new" / "b.png", IDS)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "new" / "a.png")), colours)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "new" / "b.png")), IDS)
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["a.png", "b.png"]


def test_unwritable_place_is_a_user_error(tmp_path: Path):
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(UserError, match=r"cannot be written.*output folder"):
        write_image(tmp_path / "file" / "a.png", IDS)


def test_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch):
    write_image(tmp_path / "a.png", IDS)

    def full(path, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(UserError, match="No space left"):
        write_image(tmp_path / "a.png", IDS + 1)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    np.testing.assert_array_equal(read_label(tmp_path / "a.png").numpy(), IDS)


def test_array_and_tensor_share_memory():
    array = np.asarray(pattern()).copy()
    assert np.shares_memory(to_array(to_tensor(array)), array)


def test_listing_is_sorted_and_leaves_out_other_files(tmp_path: Path):
    for name in ("b.png", "a.JPG", "notes.txt", ".hidden.png", "sub/c.png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert [path.name for path in list_images(tmp_path)] == ["a.JPG", "b.png"]
    assert len(list_images(tmp_path, recursive=True)) == 3


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_size_is_height_and_width(tmp_path: Path, suffix):
    write_photo(tmp_path / f"a{suffix}", 0, (12, 16))
    assert image_size(tmp_path / f"a{suffix}") == (12, 16)


def test_size_of_what_is_no_image_is_refused(tmp_path: Path):
    (tmp_path / "a.png").write_bytes(b"text")
    with pytest.raises(DataError, match=r"a\.png cannot be opened as an image"):
        image_size(tmp_path / "a.png")
