"""Score maps of every kind are read as they were written, and each fault has its own message."""

import zipfile

import cv2
import h5py
import numpy as np
import pytest
import torch
from PIL import Image

from roadanomaly.errors import DataError
from roadanomaly.scores import read_map
from roadanomaly.scores.arrays import UNREADABLE, read_npz

SHAPE = (18, 32)


def score(shape=SHAPE, dtype=np.float32):
    return np.random.default_rng(0).normal(size=shape).astype(dtype)


def write_h5(path, array, key="value"):
    with h5py.File(path, "w") as file:
        file[key] = array


def write(path, array):
    if path.suffix in {".hdf5", ".h5"}:
        write_h5(path, array)
    elif path.suffix == ".npy":
        np.save(path, array)
    elif path.suffix == ".npz":
        np.savez_compressed(path, array)
    else:
        Image.fromarray(array).save(path)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("suffix", [".hdf5", ".h5", ".npy", ".npz"])
def test_arrays_come_back_as_they_were(tmp_path, suffix, dtype):
    path = tmp_path / f"a{suffix}"
    write(path, score(dtype=dtype))
    read = read_map(path, SHAPE)
    assert read.dtype == dtype
    np.testing.assert_array_equal(read, score(dtype=dtype))


@pytest.mark.parametrize("suffix", [".png", ".tif", ".tiff"])
def test_16_bit_pictures_are_brought_to_0_and_1_in_order(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    stored = np.linspace(0, 65535, SHAPE[0] * SHAPE[1]).astype(np.uint16).reshape(SHAPE)
    write(path, stored)
    read = read_map(path)
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, np.asarray(stored / 65535, np.float32))
    assert (np.diff(read.ravel()) > 0).all()


def test_float_tiff_comes_back_as_it_was(tmp_path):
    path = tmp_path / "a.tiff"
    write(path, score())
    np.testing.assert_array_equal(read_map(path), score())


def test_big_endian_arrays_and_sides_of_one_are_accepted(tmp_path):
    path = tmp_path / "a.npy"
    write(path, score().astype(">f4")[None, :, :, None])
    read = read_map(path)
    assert read.dtype == np.float32
    assert read.dtype.isnative
    np.testing.assert_array_equal(read, score())


def test_the_array_called_value_is_chosen(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, value=score(), other=np.zeros(3))
    np.testing.assert_array_equal(read_map(path), score())


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_a_narrower_map_is_enlarged_in_float32_as_torch_does(tmp_path, dtype):
    path = tmp_path / "a.npy"
    small = score((9, 16), dtype)
    write(path, small)
    read = read_map(path, SHAPE)
    planes = torch.from_numpy(small.astype(np.float32))[None, None]
    expected = torch.nn.functional.interpolate(planes, SHAPE, mode="bilinear")[0, 0].numpy()
    assert read.dtype == np.float32
    np.testing.assert_allclose(read, expected, atol=1e-5)
    official = cv2.resize(small.astype(np.float32), SHAPE[::-1], interpolation=cv2.INTER_LINEAR)
    np.testing.assert_array_equal(read, official)


def test_a_stride_that_does_not_divide_the_image_is_enlarged(tmp_path):
    path = tmp_path / "a.npy"
    write(path, score((132, 240)))
    assert read_map(path, (1052, 1914)).shape == (1052, 1914)


def cut(path, keep=0.5):
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * keep)])


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("suffix", [".hdf5", ".npy", ".npz", ".png", ".tiff"])
def test_a_truncated_file_is_an_error(tmp_path, suffix, keep):
    path = tmp_path / f"a{suffix}"
    big = score((90, 160))
    write(path, (big * 5000 + 30000).astype(np.uint16) if suffix == ".png" else big)
    cut(path, keep)
    with pytest.raises(DataError, match="truncated, damaged or of another kind"):
        read_map(path)


BAD_ARRAYS = [
    (np.full(SHAPE, 3.0), "constant: all 576 scores are 3"),
    (np.zeros(SHAPE, np.float16), "constant"),
    (np.where(np.eye(*SHAPE), np.nan, score()), "18 of 576 scores are NaN and 0 infinite"),
    (np.where(np.eye(*SHAPE), np.inf, score()), "0 of 576 scores are NaN and 18 infinite"),
    (np.where(np.eye(*SHAPE), -np.inf, score()), "18 infinite"),
    (np.where(np.eye(*SHAPE), np.inf, score()).astype(np.float16), "float16 ends at 65504"),
    (np.zeros((3, *SHAPE)), r"shape \(3, 18, 32\)"),
    (np.zeros(7), r"shape \(7,\)"),
    (np.zeros((0, 4)), r"shape \(0, 4\)"),
    (np.zeros(SHAPE, np.uint8), "holds uint8"),
    (np.zeros(SHAPE, np.int64), "holds int64"),
    (np.zeros(SHAPE, bool), "holds bool"),
    (np.zeros(SHAPE, complex), "holds complex128"),
    (score((32, 18)), "rows and columns are swapped"),
    (score((36, 64)), "only a narrower map is enlarged"),
    (score((9, 32)), "only a narrower map is enlarged"),
    (score((18, 16)), "proportions differ"),
    (score((9, 20)), "proportions differ"),
]


@pytest.mark.parametrize("suffix", [".hdf5", ".npy", ".npz"])
@pytest.mark.parametrize(("array", "words"), BAD_ARRAYS)
def test_a_bad_array_is_an_error(tmp_path, suffix, array, words):
    path = tmp_path / f"a{suffix}"
    write(path, array)
    with pytest.raises(DataError, match=words) as caught:
        read_map(path, SHAPE)
    assert str(path) in str(caught.value)


def h5_without_value(path):
    write_h5(path, score(), "score")


def h5_group(path):
    with h5py.File(path, "w") as file:
        file.create_group("value")


def h5_text(path):
    write_h5(path, "words")


BAD_FILES = [
    ("a.hdf5", h5_without_value, "holds 'score', but no array called 'value'"),
    ("a.hdf5", h5_group, "a group called 'value'"),
    ("a.hdf5", h5_text, r"holds \|S5"),
    ("a.hdf5", lambda path: path.write_text("no hdf5"), "cannot be read"),
    ("a.hdf5", lambda path: path.touch(), "it is empty"),
    ("a.npz", lambda path: np.savez(path, a=score(), b=score()), "holds 'a', 'b', but no array"),
    ("a.npz", lambda path: np.save(path.open("wb"), score()), "it is no whole zip archive"),
    ("a.npy", lambda path: np.save(path, np.array([{}]), allow_pickle=True), "cannot be read"),
    ("a.npy", lambda path: np.savez(path.open("wb"), score()), "cannot be read"),
    ("a.png", lambda path: Image.new("L", (8, 8)).save(path), "8 bits a pixel"),
    ("a.png", lambda path: Image.new("RGB", (8, 8)).save(path), "8 bits a pixel"),
    ("a.png", lambda path: Image.new("I;16", (8, 8), 7).save(path), "constant"),
    ("a.tiff", lambda path: path.write_text("no tiff"), "cannot be decoded"),
    ("a.mat", lambda path: path.write_text(""), "must end in one of"),
    ("a.npy", lambda path: None, "does not exist"),
    ("a.npy", lambda path: path.mkdir(), "does not exist"),
]


@pytest.mark.parametrize(("name", "make", "words"), BAD_FILES)
def test_a_bad_file_is_an_error(tmp_path, name, make, words):
    path = tmp_path / name
    make(path)
    with pytest.raises(DataError, match=words) as caught:
        read_map(path)
    assert name in str(caught.value)


PACKED = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]


@pytest.mark.parametrize("packing", PACKED)
@pytest.mark.parametrize("seed", range(3))
def test_a_damaged_archive_is_an_error_however_it_is_packed(tmp_path, packing, seed):
    path = tmp_path / "a.npz"
    np.save(tmp_path / "a.npy", score())
    with zipfile.ZipFile(path, "w", packing) as archive:
        archive.write(tmp_path / "a.npy", "value.npy")
    np.testing.assert_array_equal(read_map(path), score())
    data = bytearray(path.read_bytes())
    data[100:400] = np.random.default_rng(seed).bytes(300)
    path.write_bytes(data)
    with pytest.raises(DataError, match="truncated, damaged or of another kind"):
        read_map(path)


def test_an_archive_that_is_marked_as_encrypted_is_an_error(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, value=score())
    data = bytearray(path.read_bytes())
    entry = data.index(b"PK\1\2")
    data[6] |= 1
    data[entry + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(DataError, match="encrypted"):
        read_map(path)
    with pytest.raises(UNREADABLE, match="encrypted"):
        read_npz(path, "value", lambda _: None)
