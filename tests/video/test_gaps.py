"""Frames that a damaged file no longer holds are counted, and none of a whole one."""

import numpy as np
import pytest

from roadanomaly.data.image_arrays import write_image
from roadanomaly.errors import DataError, OptionError
from roadanomaly.video.gaps import Gaps
from roadanomaly.video.runner import Runner
from roadanomaly.video.source import Reading
from roadanomaly.video.sources import open_source
from tests.video.clips import SIZE, RedIsStrange, judge, picture, write_clip

CODECS = {"mp4": "libx264", "mkv": "libx264", "ts": "libx264", "avi": "mpeg4"}


def read(clip, reading=None):
    return Runner(open_source(str(clip), reading), RedIsStrange(), judge()).run()


@pytest.mark.parametrize("kind", CODECS)
def test_a_whole_file_lacks_nothing(tmp_path, kind):
    clip = write_clip(tmp_path / f"clip.{kind}", 40, codec=CODECS[kind])
    for reading in (Reading(), Reading(loop=2), Reading(start_s=0.5)):
        figures = read(clip, reading)
        assert (figures["lost"], figures["notes"]) == (0, [])


def test_a_varying_rate_is_no_loss(tmp_path):
    times = np.cumsum(np.random.default_rng(0).uniform(0.02, 0.2, 40))
    for kind in ("mkv", "mp4"):
        figures = read(write_clip(tmp_path / f"clip.{kind}", 40, times=times))
        assert (figures["frames"], figures["lost"]) == (40, 0)


@pytest.mark.parametrize("kind", ["mkv", "ts", "avi"])
def test_frames_lost_in_the_middle_are_counted(tmp_path, kind):
    clip = write_clip(tmp_path / f"clip.{kind}", 40, codec=CODECS[kind])
    content = bytearray(clip.read_bytes())
    begin, end = len(content) // 2, len(content) * 3 // 4
    content[begin:end] = bytes(end - begin)
    clip.write_bytes(content)
    figures = read(clip)
    assert figures["frames"] < 35
    assert figures["frames"] + figures["lost"] == pytest.approx(40, abs=1)
    (note,) = [note for note in figures["notes"] if "missing" in note]
    assert f"about {figures['lost']} frame(s)" in note


def test_an_end_that_is_cut_off_is_counted(tmp_path):
    clip = write_clip(tmp_path / "clip.mkv", 40)
    content = clip.read_bytes()
    clip.write_bytes(content[: int(len(content) * 0.6)])
    figures = read(clip)
    assert figures["lost"] == 40 - figures["frames"] > 10


def test_gaps_by_hand():
    gaps = Gaps(0.1)
    for stamp in (0.0, 0.1, 0.2, 0.3, 0.7, 0.8, 0.9, 1.0):
        gaps.add(stamp, None)
    assert gaps.missing(None) == 3
    assert gaps.missing(1.5) == 3 + 4
    assert gaps.missing(1.5, announced=12) == 4
    late = Gaps(0.1)
    for number in range(10):
        late.add(1.0 + number / 10, 0.1)
    assert late.missing(2.0) == 10
    assert Gaps(0.1).missing(5.0) == 0


@pytest.mark.parametrize("stamps", [(0.0, 0.0, 0.0), (1.0, 0.5, 0.2), (-1.0, -0.9, -0.8)])
def test_times_that_stand_still_or_run_backwards_tell_of_no_gap(stamps):
    gaps = Gaps(0.1)
    for stamp in stamps:
        gaps.add(stamp, 0.1)
    assert gaps.missing(stamps[-1] + 0.1) == 0
    assert gaps.missing(stamps[-1] + 6.6) == (65 if stamps[0] < 0 else 0)


def test_a_frame_that_is_announced_to_last_is_no_gap():
    gaps = Gaps(0.1)
    for stamp, lasts in ((0.0, 0.1), (0.1, 0.5), (0.6, 0.1), (0.7, 0.1), (0.8, 0.1), (0.9, 0.1)):
        gaps.add(stamp, lasts)
    assert gaps.missing(1.0) == 0


@pytest.mark.parametrize("loop", [1, 0])
def test_a_start_behind_the_end_blames_nobody(tmp_path, loop):
    clip = write_clip(tmp_path / "clip.mp4", 50)
    with pytest.raises(DataError, match=r"from --from_s 7 on: it lasts 2 s. Give an earlier"):
        open_source(str(clip), Reading(start_s=7, loop=loop))
    for number in range(4):
        write_image(tmp_path / f"{number}.png", picture(number))
    with pytest.raises(DataError, match="4 images last 2 s at --fps 2"):
        open_source(str(tmp_path), Reading(start_s=2, fps=2, loop=loop))


@pytest.mark.parametrize(
    "reading", [{"start_s": -1}, {"fps": float("nan")}, {"reconnect_s": -1}, {"loop": -1}]
)
def test_times_that_are_none_are_refused(tmp_path, reading):
    with pytest.raises(OptionError, match="not negative"):
        open_source(str(write_clip(tmp_path / "clip.mp4", 2)), Reading(**reading))


def test_sizes_are_asked_without_losing_the_first_frame(tmp_path):
    source = open_source(str(write_clip(tmp_path / "clip.mp4", 5)))
    assert source.size == SIZE
    assert [frame.number for frame in source.frames(SIZE)] == [0, 1, 2, 3, 4]
