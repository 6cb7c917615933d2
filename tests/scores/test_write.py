"""What is written is what the official reader expects, and what is read back."""

import h5py
import numpy as np
import pytest

from roadanomaly.errors import DataError, UserError
from roadanomaly.scores import read_map, verify_map, write_fishyscapes, write_hdf5

SCORE = np.random.default_rng(0).normal(size=(20, 30)).astype(np.float16)


def test_hdf5_has_the_official_convention(tmp_path):
    path = tmp_path / "anomaly_p/mine/AnomalyTrack-all/f0.hdf5"
    write_hdf5(path, SCORE)
    with h5py.File(path, "r") as file:
        assert list(file) == ["value"]
        stored = file["value"]
        assert (stored.dtype, stored.shape) == (np.float16, (20, 30))
        assert (stored.compression, stored.compression_opts) == ("gzip", 9)
        np.testing.assert_array_equal(np.squeeze(stored[()]), SCORE)
    assert [one.name for one in path.parent.iterdir()] == ["f0.hdf5"]
    np.testing.assert_array_equal(read_map(path), SCORE)
    verify_map(path, SCORE)


def test_the_same_map_gives_the_same_bytes(tmp_path):
    for name in "ab":
        write_hdf5(tmp_path / name, SCORE)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_fishyscapes_pairs(tmp_path):
    classes = np.full(SCORE.shape, 19, np.uint8)
    write_fishyscapes(tmp_path, "7", SCORE.astype(np.float32), classes)
    np.testing.assert_array_equal(np.load(tmp_path / "7_anomaly.npy"), SCORE.astype(np.float32))
    np.testing.assert_array_equal(np.load(tmp_path / "7_segmentation.npy"), classes)


def test_a_failed_write_leaves_the_earlier_file(tmp_path, monkeypatch):
    path = tmp_path / "a.hdf5"
    write_hdf5(path, SCORE)
    monkeypatch.setattr("pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(UserError, match="cannot be written"):
        write_hdf5(path, -SCORE)
    monkeypatch.undo()
    verify_map(path, SCORE)
    assert [one.name for one in tmp_path.iterdir()] == ["a.hdf5"]


def test_verifying_finds_another_content(tmp_path):
    path = tmp_path / "a.hdf5"
    changed = SCORE.copy()
    changed[3, 4] += 1
    write_hdf5(path, changed)
    with pytest.raises(DataError, match="in 1 of 600 pixels"):
        verify_map(path, SCORE)
    with pytest.raises(DataError, match="instead of float16 of shape"):
        verify_map(path, SCORE[:5])
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(DataError, match="truncated"):
        verify_map(path, SCORE)


@pytest.mark.parametrize(
    ("score", "words"),
    [
        (SCORE.astype(np.float32), "float32"),
        (SCORE[None], r"\(1, 20, 30\)"),
        (np.where(SCORE > 2, np.float16(np.inf), SCORE), "NaN or infinite"),
        (np.where(SCORE > 2, np.float16(np.nan), SCORE), "NaN or infinite"),
    ],
)
def test_what_the_benchmark_cannot_rank_is_not_written(tmp_path, score, words):
    with pytest.raises(DataError, match=words):
        write_hdf5(tmp_path / "a.hdf5", score)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        (np.zeros((2, 3), np.uint8), r"shape \(2, 3\)"),
        (np.zeros(SCORE.shape, np.float32), "float32"),
        (np.full(SCORE.shape, 255, np.uint8), "255"),
    ],
)
def test_fishyscapes_classes_are_checked(tmp_path, classes, words):
    with pytest.raises(DataError, match=words):
        write_fishyscapes(tmp_path, "7", SCORE.astype(np.float32), classes)
    assert not list(tmp_path.iterdir())
