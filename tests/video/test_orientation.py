"""Videos with a display matrix are read upright; the matrix is written into the file's bytes."""

import gc
import struct

import av
import numpy as np
import psutil
import pytest

from roadanomaly.video import sinks
from roadanomaly.video.runner import Runner
from roadanomaly.video.source import Reading
from roadanomaly.video.sources import open_source
from tests.video.clips import SIZE, Collector, RedIsStrange, frames_of, judge, write_clip

ONE, W = 1 << 16, 1 << 30
CASES = {
    "quarter right": ((0, ONE, -ONE, 0), lambda a: np.rot90(a, -1)),
    "quarter left": ((0, -ONE, ONE, 0), lambda a: np.rot90(a, 1)),
    "half": ((-ONE, 0, 0, -ONE), lambda a: np.rot90(a, 2)),
    "mirrored": ((-ONE, 0, 0, ONE), np.fliplr),
    "upside down in a mirror": ((ONE, 0, 0, -ONE), np.flipud),
    "about its diagonal": ((0, ONE, ONE, 0), lambda a: a.transpose(1, 0, 2)),
    "nearly a quarter right": ((1000, ONE - 500, 500 - ONE, 1000), lambda a: np.rot90(a, -1)),
}


def tag(path, matrix):
    """Write a display matrix into the header of an MP4's only track."""
    content = bytearray(path.read_bytes())
    place = content.index(b"tkhd") + 4
    place += 40 if content[place] == 0 else 52
    a, b, c, d = matrix
    content[place : place + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, W)
    path.write_bytes(content)


@pytest.mark.parametrize("name", CASES)
def test_frames_are_turned_as_the_matrix_says(tmp_path, name):
    matrix, turn = CASES[name]
    clip = write_clip(tmp_path / "clip.mp4", 6, range(6))
    stored = [picture for _, picture in frames_of(clip)]
    tag(clip, matrix)
    source = open_source(str(clip))
    assert source.size == turn(stored[0]).shape[:2]
    given = list(source.frames(source.size))
    assert {frame.source_size for frame in given} == {source.size}
    for frame, picture in zip(given, stored, strict=True):
        difference = frame.image.astype(int) - turn(picture)
        assert abs(difference).max() <= 2


def test_boxes_and_overlay_are_upright(tmp_path):
    clip = write_clip(tmp_path / "clip.mp4", 30, range(5, 25))
    tag(clip, CASES["quarter right"][0])
    upright = SIZE[::-1]
    out = tmp_path / "out.mp4"
    overlay = sinks.OverlayVideo(out, upright, 25, lambda judged: "")
    seen = Collector()
    Runner(open_source(str(clip)), RedIsStrange(upright), judge(), [seen, overlay]).run()
    (event,) = seen.events
    x0, height = 10 + 2 * event.peak_frame, SIZE[0]
    assert event.box == pytest.approx((height - 54, x0, height - 30, x0 + 24), abs=3)
    assert frames_of(out)[0][1].shape == (*upright, 3)


def test_a_start_and_repetitions_keep_it_upright(tmp_path):
    clip = write_clip(tmp_path / "clip.mp4", 30, range(30))
    tag(clip, CASES["half"][0])
    source = open_source(str(clip), Reading(start_s=0.4, loop=2))
    given = list(source.frames(SIZE))
    assert len(given) == 40
    reds = [np.argwhere(frame.image[..., 0] > 180).mean(0)[0] for frame in given]
    assert reds == pytest.approx([SIZE[0] - 1 - 41.5] * 40, abs=1)


def test_without_a_matrix_nothing_is_turned(tmp_path):
    clip = write_clip(tmp_path / "clip.mp4", 3, range(3))
    with av.open(str(clip)) as container:
        assert next(container.decode(video=0)).rotation == 0
    given = list(open_source(str(clip)).frames(SIZE))
    for frame, (_, picture) in zip(given, frames_of(clip), strict=True):
        assert np.array_equal(frame.image, picture)


def test_a_frame_that_was_read_does_not_stay_in_memory(tmp_path):
    clip = write_clip(tmp_path / "clip.mp4", 40, range(40))
    tag(clip, CASES["half"][0])
    source = open_source(str(clip))
    gc.collect()
    gc.disable()
    try:
        before = psutil.Process().num_threads()  # each frame that stays keeps its scaler's threads
        assert sum(1 for _ in source.frames((48, 64))) == 40
        assert psutil.Process().num_threads() < before + 20
    finally:
        gc.enable()
