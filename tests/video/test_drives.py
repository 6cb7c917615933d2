"""Frames from drives: evenly spread, parted by time, and what is refused or told."""

from __future__ import annotations

import itertools
import math

import cv2
import numpy as np
import pytest

from roadanomaly.data.image_arrays import read_array
from roadanomaly.data.images import read_image, write_image
from roadanomaly.errors import DataError
from roadanomaly.video.drives import HELD_OUT, is_held_out, open_drive, parts_of, sample
from tests.video import clips


def pictures(folder, count, alike=False):
    rng = np.random.default_rng(0)
    first = rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)
    for number in range(count):
        new = first if alike else rng.integers(0, 256, (4, 6, 3), dtype=np.uint8)
        write_image(folder / f"{number:04}.png", cv2.resize(new, (60, 40)))
    return folder


def test_images_are_taken_evenly_and_copied_as_they_are(tmp_path):
    folder = pictures(tmp_path / "drive", 100)
    found = sample([str(folder)], 34, tmp_path / "frames")
    assert (found.learn, found.held_out) == (26, 8)
    assert found.fps == 0
    written = sorted((tmp_path / "frames").rglob("*.png"))
    assert len(written) == 34
    for path in written:
        number = 3 * int(path.stem.split("_")[1])
        assert (read_image(path) == read_image(folder / f"{number:04}.png")).all()


def test_frames_of_a_sampling_that_failed_are_not_learned_from(tmp_path):
    few = pictures(tmp_path / "few", 6)
    with pytest.raises(DataError, match="at least 8 are needed"):
        sample([str(few), str(few)], 2, tmp_path / "frames")
    sample([str(pictures(tmp_path / "drive", 100))], 100, tmp_path / "frames")
    note = tmp_path / "frames" / "learn" / "note.png"
    write_image(note, np.zeros((4, 4, 3), np.uint8))
    found = sample([str(few), str(few)], 12, tmp_path / "frames")
    written = sorted((tmp_path / "frames").rglob("*_*.png"))
    assert len(written) == found.learn + found.held_out == 12
    assert len({path.name for path in written}) == 12
    assert note.exists()


@pytest.mark.parametrize("count", [8, 31, 32, 75, 160, 1000])
def test_a_quarter_of_the_time_is_held_out_in_few_stretches(count):
    held = [is_held_out(place, count) for place in range(count)]
    assert 0.2 <= sum(held) / count <= 0.3
    changes = sum(a != b for a, b in itertools.pairwise(held))
    assert changes <= 3


def test_frames_of_a_video_come_from_its_whole_length(tmp_path):
    path = tmp_path / "drive.mp4"
    clips.write_clip(path, count=100, shown=range(100), size=(96, 256))
    found = sample([str(path)], 8, tmp_path / "frames")
    assert found.learn + found.held_out == 8
    assert found.fps == clips.FPS
    written = sorted((tmp_path / "frames").rglob("*.png"), key=lambda one: one.stem)
    for place, one in enumerate(written):
        pixels = read_image(one).int()
        left = int((pixels[0] - pixels[1] > 100).any(0).nonzero()[0])
        number = math.ceil((place + 0.5) * 4 / 8 * clips.FPS)
        assert abs(left - (10 + 2 * number)) <= 3


def test_what_is_no_drive_is_refused(tmp_path):
    with pytest.raises(DataError, match="names no drive: there is no such file or folder"):
        open_drive(str(tmp_path / "nowhere"), 10)
    with pytest.raises(DataError, match="names no drive: the folder holds no image"):
        open_drive(str(tmp_path), 10)
    with pytest.raises(DataError, match="has no end; record a drive first"):
        open_drive("rtsp://camera/1", 10)
    (tmp_path / "notes.txt").write_text("no film")
    with pytest.raises(DataError, match="cannot be opened as video"):
        open_drive(str(tmp_path / "notes.txt"), 10)
    folder = pictures(tmp_path / "few", 3)
    with pytest.raises(DataError, match=r"3 frame\(s\) can be taken"):
        sample([str(folder)], 20, tmp_path / "frames")


def test_a_file_below_dev_is_a_drive_and_a_device_is_none(tmp_path, monkeypatch):
    words = []
    monkeypatch.setattr("roadanomaly.video.drives._video", lambda word, _: words.append(word))
    monkeypatch.setattr("pathlib.Path.exists", lambda _: True)
    monkeypatch.setattr("pathlib.Path.is_file", lambda path: str(path).startswith("/dev/shm"))
    open_drive("/dev/shm/drive.mp4", 10)
    assert words == ["/dev/shm/drive.mp4"]
    for word in ("/dev/zero", "/dev/video0", "camera:0", "-"):
        with pytest.raises(DataError, match="has no end"):
            open_drive(word, 10)


def test_an_address_is_refused_without_its_password():
    with pytest.raises(DataError, match=r"^rtsp://camera/1 has no end"):
        open_drive("rtsp://me:secret@camera/1", 10)


def test_frames_of_a_thousand_drives_are_cleared_too(tmp_path):
    """What is written is what is cleared, and no other picture."""
    few, learn = pictures(tmp_path / "few", 6), tmp_path / "frames" / "learn"
    written = [f"{number:03}_{place:05}.png" for number, place in ((7, 3), (1234, 123456))]
    others = ["0123_00001.png", "12_00001.png", "123_001234.png", "1234_00001b.png"]
    for name in (*written, *others):
        write_image(learn / name, np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(DataError, match="at least 8 are needed"):
        sample([str(few)], 2, tmp_path / "frames")
    left = {path.name for path in learn.iterdir()}
    assert set(others) <= left
    assert not set(written) & left


def test_a_file_that_is_no_image_is_named(tmp_path):
    folder = pictures(tmp_path / "drive", 12)
    (folder / "0005.png").write_text("no picture")
    with pytest.raises(DataError, match=r"0005\.png"):
        sample([str(folder)], 12, tmp_path / "frames")


def test_little_and_alike_are_told(tmp_path):
    alike = sample([str(pictures(tmp_path / "parked", 12, alike=True))], 12, tmp_path / "a")
    assert ["only 12 frames" in alike.warnings[0], "look alike" in alike.warnings[1]] == [True] * 2
    moving = sample([str(pictures(tmp_path / "moving", 60))], 60, tmp_path / "b")
    assert moving.warnings == []


@pytest.mark.parametrize("counts", [[1] * 40, [2] * 6, [3, 3, 3], [1, 3, 2, 1, 2, 1], [50, 1, 1]])
def test_drives_of_few_frames_are_held_out_as_a_quarter_of_them_all(counts):
    parts = parts_of(counts)
    assert [len(part) for part in parts] == counts
    held = sum(part.count(HELD_OUT) for part in parts)
    assert 0.15 <= held / sum(counts) <= 0.4
    assert parts[-1][-1] == HELD_OUT
    assert all(len(set(part)) == 1 for part in parts if len(part) < 4)


def test_many_short_drives_can_be_learned_from(tmp_path):
    folder = pictures(tmp_path / "photos", 20)
    photos = [str(path) for path in sorted(folder.glob("*.png"))]
    found = sample(photos, 160, tmp_path / "frames")
    assert (found.learn, found.held_out) == (15, 5)
    for path in (tmp_path / "frames").rglob("*.png"):
        number = int(path.stem.split("_")[0])
        assert (read_image(path) == read_image(photos[number])).all()
        assert (path.parent.name == "held_out") == (number >= 15)


def test_no_more_frames_are_taken_than_asked_for(tmp_path):
    folder = pictures(tmp_path / "photos", 30)
    photos = [str(path) for path in sorted(folder.glob("*.png"))]
    found = sample(photos, 10, tmp_path / "frames")
    assert len(list((tmp_path / "frames").rglob("*.png"))) == found.learn + found.held_out == 10
    assert found.held_out in (2, 3)
    assert "20 drives give no frame: --frames asks for fewer" in found.warnings[0]


def test_it_is_said_which_part_is_empty(tmp_path, monkeypatch):
    """Of a video nothing after its first third can be decoded."""
    folder = pictures(tmp_path / "drive", 40)

    def reading(path):
        return lambda: read_array(path) if int(path.stem) < 15 else None

    monkeypatch.setattr("roadanomaly.video.drives._reading", reading)
    with pytest.raises(DataError, match=r" 15 frame\(s\) can be taken.*, none to judge on; at"):
        sample([str(folder)], 40, tmp_path / "frames")
