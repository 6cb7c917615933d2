"""Folders of score maps: layouts that are recognised, and frames that do not match."""

import numpy as np
import pytest

from roadanomaly.errors import DataError
from roadanomaly.scores import open_scores, write_fishyscapes, write_hdf5


def put(folder, *names, suffix=".npy"):
    folder.mkdir(parents=True, exist_ok=True)
    for index, name in enumerate(names):
        array = np.arange(6, dtype=np.float16).reshape(2, 3) + index
        path = folder / f"{name}{suffix}"
        write_hdf5(path, array) if suffix == ".hdf5" else np.save(path, array)


def test_maps_are_named_by_their_frame(tmp_path):
    put(tmp_path, "b", "a.1")
    put(tmp_path, "c", suffix=".hdf5")
    (tmp_path / "README.md").write_text("")
    (tmp_path / ".hidden.npy").write_text("")
    scores = open_scores(tmp_path)
    assert scores.ids == tuple(scores) == ("a.1", "b", "c")
    assert len(scores) == 3
    assert "b" in scores
    assert scores["a.1"][0, 0] == 1
    assert scores.read("c", (4, 6)).shape == (4, 6)
    scores.check(["a.1", "b", "c"])


@pytest.mark.parametrize("given", ["", "anomaly_p", "anomaly_p/mine", "anomaly_p/mine/set-all"])
def test_the_official_layout_is_found_from_any_level(tmp_path, given):
    put(tmp_path / "anomaly_p/mine/set-all", "f0", "f1", suffix=".hdf5")
    (tmp_path / "PixBinaryClass/data").mkdir(parents=True)
    put(tmp_path / "PixBinaryClass/data", "PixClassCurve_mine_set", suffix=".hdf5")
    scores = open_scores(tmp_path / given)
    assert scores.folder == tmp_path / "anomaly_p/mine/set-all"
    assert scores.ids == ("f0", "f1")


def test_the_data_set_chooses_among_several(tmp_path):
    put(tmp_path / "anomaly_p/mine/AnomalyTrack-all", "a")
    put(tmp_path / "anomaly_p/mine/ObstacleTrack-all", "o")
    assert open_scores(tmp_path, ["ObstacleTrack-all"]).ids == ("o",)
    with pytest.raises(DataError, match=r"2 folders of score maps .*AnomalyTrack-all"):
        open_scores(tmp_path)
    put(tmp_path / "anomaly_p/other/ObstacleTrack-all", "o")
    with pytest.raises(DataError, match=r"2 folders of score maps .*other/ObstacleTrack-all"):
        open_scores(tmp_path, ["ObstacleTrack-all"])


def test_fishyscapes_pairs_are_one_map(tmp_path):
    score = np.arange(6, dtype=np.float32).reshape(2, 3)
    write_fishyscapes(tmp_path, "x_1", score, np.zeros((2, 3), np.uint8))
    scores = open_scores(tmp_path)
    assert scores.ids == ("x_1",)
    np.testing.assert_array_equal(scores["x_1"], score)


def test_maps_of_the_sets_other_splits_may_lie_there(tmp_path):
    put(tmp_path, "v0", "t0", "t1")
    scores = open_scores(tmp_path)
    scores.check(["v0"], also=["t0", "t1"])
    with pytest.raises(DataError, match="2 maps belong to no frame: t0, t1"):
        scores.check(["v0"])


@pytest.mark.parametrize(
    ("names", "frames", "words"),
    [
        (["a"], ["a", "b"], "1 of 2 frames have no map: b. Write the missing maps"),
        (["a", "b"], ["a"], "1 maps belong to no frame: b. Take them out"),
        (["frame1_score"], ["frame1"], "`frame1_score` looks like `frame1`"),
        (["Frame1"], ["frame1"], "`Frame1` looks like `frame1`"),
        (["frame_0001"], ["frame_0007"], "`frame_0001` looks like `frame_0007`"),
        (["x"], [f"f{i}" for i in range(9)], "f0, f1, f2, f3, f4 and 4 more"),
    ],
)
def test_missing_extra_and_misnamed_maps_are_told_apart(tmp_path, names, frames, words):
    put(tmp_path, *names)
    with pytest.raises(DataError, match=words):
        open_scores(tmp_path).check(frames)


def test_no_folder_no_map_two_maps(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        open_scores(tmp_path / "none")
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(DataError, match="is a file"):
        open_scores(tmp_path / "a.txt")
    with pytest.raises(DataError, match=r"holds no score map, only \.txt"):
        open_scores(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no file at all"):
        open_scores(tmp_path / "empty")
    put(tmp_path, "a")
    put(tmp_path, "a", suffix=".hdf5")
    with pytest.raises(DataError, match="'a' has two score maps"):
        open_scores(tmp_path)


def test_a_frame_without_a_map_is_an_error(tmp_path):
    put(tmp_path, "a")
    with pytest.raises(DataError, match="no score map of frame 'b'"):
        open_scores(tmp_path)["b"]
